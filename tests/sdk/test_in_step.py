"""What training code says from inside a step: with the run's token, and never in training's way."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from animus_sdk import ApiError, NotInStep, RunTelemetryLogger, upload_artifact
from animus_sdk.resources.artifacts import Artifacts
from animus_sdk.telemetry.points import LEVELS, Unloggable, message_of, metric_point
from animus_sdk.telemetry.step_contexts import StepContext, find_step_context, get_step_context
from animus_sdk.transfer.digests import digest_of
from animus_sdk.transfer.stores import StoreRoute
from animus_sdk.wire.retries import RetryPolicy

from tests.sdk.attempt_places import AttemptPlace, forwarded, open_place, proxied, start_run
from tests.sdk.faulty_proxies import LOST, faulty_proxy, unix_server
from tests.sdk.platforms import QUICK, Finished, Platform, pipeline, unique
from tests.support.waiting import PATIENCE

NOW_OR_NEVER = RetryPolicy(retries=0)


@pytest.fixture
def place(platform: Platform, tmp_path: Path) -> AttemptPlace:
    """An open attempt of a step with `telemetry: true`, and its run token in a file."""
    run_id = start_run(platform, {"pipeline": pipeline(data=False, telemetry=True)})
    place = open_place(platform, tmp_path, run_id)
    (place.root / "run-token").write_text(place.claimed["run_token"])
    return place


@pytest.fixture
def step(platform: Platform, place: AttemptPlace) -> Iterator[Mapping[str, str]]:
    """The environment that the agent gives to main, while its sockets are there."""
    with forwarded(platform, place):
        yield _environment(platform, place)


TRAINING = """
import animus_sdk
for fold in range(5):
    animus_sdk.log_metric("cv_accuracy", 0.9 + fold / 100, step=fold)
animus_sdk.log_metrics({"loss": 0.1, "lr": 1}, step=4)
animus_sdk.log_event("model trained", level="warning", folds=5, odd=float("nan"))
made = animus_sdk.upload_artifact("coefficients.csv", kind="table")
print(made["name"], made["sha256"])
"""


def test_a_step_logs_metrics_and_messages_and_adds_an_artifact(
    platform: Platform, place: AttemptPlace, step: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / "coefficients.csv").write_text("0,1.5\n")
    done = _train(TRAINING, step, tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"coefficients.csv {digest_of(b'0,1.5' + chr(10).encode())}\n"
    with platform.client() as client:
        points = client.runs.metrics(place.run_id)
        (artifact,) = client.artifacts.of_run(place.run_id)
    logged = sorted((p["name"], p["step_number"], round(p["value"], 3), p["step"]) for p in points)
    assert logged[:2] == [("cv_accuracy", 0, 0.9, "train"), ("cv_accuracy", 1, 0.91, "train")]
    assert logged[-2:] == [("loss", 4, 0.1, "train"), ("lr", 4, 1.0, "train")]
    assert (artifact["kind"], artifact["media_type"]) == ("table", "text/csv")
    (message,) = _messages(platform, place.run_id)
    assert (message["level"], message["message"]) == ("warning", "model trained")
    assert message["fields"] == {"folds": 5, "odd": "nan"}


def test_a_run_token_is_refused_at_another_run(
    platform: Platform, place: AttemptPlace, step: Mapping[str, str]
) -> None:
    other = start_run(platform, {"pipeline": pipeline(data=False)})
    context = get_step_context({**step, "ANIMUS_RUN_ID": other})
    scope = context.open(timeout=5, retries=QUICK)
    try:
        (place.root / "x.txt").write_text("x")
        with pytest.raises(ApiError) as refused:
            Artifacts(scope).upload(other, place.root / "x.txt")
    finally:
        scope.gateway.close()
        scope.store.close()
    assert refused.value.status in (403, 404)


def test_an_artifact_whose_answers_are_lost_is_registered_once(
    platform: Platform, place: AttemptPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in _environment(platform, place).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "x.txt").write_text(unique("x"))
    with proxied(platform, place) as (api, store):
        api.faults = [LOST, LOST, LOST]
        store.faults, store.method = [LOST], "PUT"
        upload_artifact(tmp_path / "x.txt")
    with platform.client() as client:
        assert len(client.artifacts.of_run(place.run_id)) == 1


def test_what_is_logged_while_answers_are_lost_is_kept_once(
    platform: Platform, place: AttemptPlace, tmp_path: Path
) -> None:
    said = "import animus_sdk; animus_sdk.log_metric('loss', 1.5); animus_sdk.log_event('halfway')"
    with proxied(platform, place) as (api, _):
        api.faults = [LOST, LOST, LOST]
        done = _train(said, _environment(platform, place), tmp_path)
        assert api.faults == []
    assert (done.code, done.err) == (0, "")
    with platform.client() as client:
        assert len(client.runs.metrics(place.run_id)) == 1
    assert len(_messages(platform, place.run_id)) == 1


def test_a_step_in_a_pod_uploads_to_the_stores_own_address(
    platform: Platform, place: AttemptPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.txt").write_text(unique("x"))
    with faulty_proxy(platform.store_url) as store:
        environment = _environment(platform, place) | {
            "ANIMUS_GATEWAY_URL": platform.url,
            "ANIMUS_STORE_ADDRESS": store.url.removeprefix("http://"),
        }
        del environment["ANIMUS_STORE_SOCKET"]
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        made = upload_artifact(tmp_path / "x.txt")
        assert store.count("PUT") == 1
    with platform.client() as client:
        assert [one["id"] for one in client.artifacts.of_run(place.run_id)] == [made["id"]]


def test_training_goes_on_and_ends_well_without_its_gateway(
    platform: Platform, place: AttemptPlace, tmp_path: Path
) -> None:
    program = (
        "import animus_sdk\n"
        "for number in range(5000):\n"
        "    animus_sdk.log_metric('loss', number, step=number)\n"
        "animus_sdk.log_metric('loss', 'not a number')\n"
        "animus_sdk.log_event('x', level='loud')\n"
        "print('trained')\n"
    )
    # The limit at the exit would be ten seconds: the test does not wait that long.
    shortened = (
        "from animus_sdk.telemetry.loggers import RunTelemetryLogger\n"
        "RunTelemetryLogger.close.__defaults__ = (0.1,)\n"
    )
    # What is under way at the end has a connection, which nobody closes any more.
    warnings = {"PYTHONWARNINGS": "error,ignore::ResourceWarning"}
    done = _train(shortened + program, _environment(platform, place) | warnings, tmp_path)
    assert (done.code, done.out) == (0, "trained\n")
    assert done.err.count("\n") == 1
    assert "were not recorded" in done.err
    assert "could not convert" not in done.err


def test_outside_a_step_logging_does_nothing_and_says_so_once(tmp_path: Path) -> None:
    program = (
        "import animus_sdk\n"
        "animus_sdk.log_metric('a', 1)\n"
        "animus_sdk.log_metrics({'a': 1})\n"
        "animus_sdk.log_event('a')\n"
        "assert animus_sdk.flush()\n"
        "assert not animus_sdk.in_step()\n"
    )
    done = _train(program, {}, tmp_path)
    assert (done.code, done.out) == (0, "")
    assert done.err == (
        "animus: not in a step with 'telemetry: true'; metrics and messages go nowhere\n"
    )


def test_outside_a_step_an_artifact_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANIMUS_GATEWAY_URL", "ANIMUS_RUN_TOKEN_FILE", "ANIMUS_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(NotInStep, match="telemetry: true"):
        upload_artifact(tmp_path / "x")


def test_a_forked_worker_logs_on_its_own(
    platform: Platform, place: AttemptPlace, step: Mapping[str, str], tmp_path: Path
) -> None:
    """As data loaders fork; the child leaves without its parent's exit handlers."""
    program = (
        "import os, animus_sdk\n"
        "animus_sdk.log_metric('parent', 1)\n"
        "assert animus_sdk.flush()\n"
        "if (child := os.fork()) == 0:\n"
        "    animus_sdk.log_metric('child', 2)\n"
        "    os._exit(0 if animus_sdk.flush() else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    done = _train(program, step, tmp_path)
    assert (done.code, done.err) == (0, "")
    with platform.client() as client:
        names = {point["name"] for point in client.runs.metrics(place.run_id)}
    assert names == {"parent", "child"}


def test_a_full_queue_drops_and_counts_and_never_waits(tmp_path: Path) -> None:
    """Nobody reads the queue: its thread waits for a gateway that takes the first batch."""
    told = io.StringIO()
    with _silent_gateway(tmp_path) as (context, asked):
        logger = RunTelemetryLogger(
            context, max_queue=3, timeout=30.0, retries=NOW_OR_NEVER, stderr=told
        )
        logger.log_metric("first", 1)
        assert asked.wait(10)
        for number in range(10):
            logger.log_metric("loss", number)
        assert logger.dropped == 7
        logger.close(timeout=0.05)
    assert "7 (logged faster than the gateway takes them)" in told.getvalue()
    assert "4 (not sent before the end)" in told.getvalue()


@pytest.mark.parametrize(
    ("name", "value", "step"),
    [
        ("a", float("nan"), 0), ("a", float("inf"), 0), ("a", 1, -1), ("a", 1, 2**60), ("", 1, 0),
        ("a\nb", 1, 0), ("ü", 1, 0), ("a" * 201, 1, 0),
    ],
)  # fmt: skip
def test_a_point_that_the_gateway_would_refuse_is_not_sent(
    name: str, value: float, step: int
) -> None:
    with pytest.raises(Unloggable):
        metric_point(name, value, step)


def test_a_message_is_made_sendable() -> None:
    fields: dict[Any, Any] = {
        "deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}},
        7: object,
        "s": "\ud800",
    }
    message = message_of("x" * 5_000 + "\0", "info", fields)
    document = json.dumps(message.document(), allow_nan=False).encode()
    assert len(message.message) == 4_000
    assert b"\\ud800" not in document.replace(b"\\\\ud800", b"")
    with pytest.raises(Unloggable, match="level"):
        message_of("x", "loud", {})
    with pytest.raises(Unloggable, match="empty"):
        message_of("", LEVELS[0], {})


def test_the_token_is_in_no_representation(platform: Platform, place: AttemptPlace) -> None:
    context = find_step_context(_environment(platform, place))
    assert context is not None
    assert place.claimed["run_token"] not in repr(context)
    assert place.claimed["run_token"] not in repr(context.open(timeout=1, retries=QUICK))


@contextmanager
def _silent_gateway(folder: Path) -> Iterator[tuple[StepContext, threading.Event]]:
    """Takes requests on a socket and answers none; the event says that one has come."""
    asked, over = threading.Event(), threading.Event()

    def take(client: socket.socket) -> None:
        client.recv(65_536)
        asked.set()
        over.wait(30)

    (folder / "token").write_text("anmr_x")
    context = StepContext(
        gateway_url=f"unix://{folder / 'silent.sock'}",
        token_file=folder / "token",
        run_id="1",
        project_id="1",
        step="train",
        store=StoreRoute(),
    )
    with unix_server(folder / "silent.sock", take):
        yield context, asked
        over.set()


def _environment(platform: Platform, place: AttemptPlace) -> dict[str, str]:
    return {
        "ANIMUS_GATEWAY_URL": f"unix://{place.api_socket}",
        "ANIMUS_STORE_SOCKET": str(place.store_socket),
        "ANIMUS_RUN_TOKEN_FILE": str(place.root / "run-token"),
        "ANIMUS_RUN_ID": place.run_id,
        "ANIMUS_PROJECT_ID": platform.project_id,
        "ANIMUS_STEP": "train",
    }


def _train(program: str, environment: Mapping[str, str], folder: Path) -> Finished:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONWARNINGS": "error", **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Finished(code=done.returncode, out=done.stdout, err=done.stderr)


def _messages(platform: Platform, run_id: str) -> list[dict[str, Any]]:
    answer = httpx.get(
        f"{platform.url}/api/v1/projects/{platform.project_id}/runs/{run_id}/messages",
        headers={"Authorization": f"Bearer {platform.tokens['engineer']}"},
        timeout=PATIENCE,
    )
    found: list[dict[str, Any]] = answer.raise_for_status().json()
    return found
