"""Latch as a pod runs it, and what collect makes of a network that is switched."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from animus_sdk.errors import SettingsUnfit
from animus_sdk.step import places
from animus_sdk.step.latch import is_switched
from animus_sdk.step.places import are_closed, are_open, read_places

from tests.sdk.attempt_places import step_command
from tests.sdk.platforms import Finished
from tests.support.waiting import PATIENCE

NOBODY = "name.invalid:1"
"""No resolver knows it (RFC 6761)."""


@contextmanager
def answering() -> Iterator[tuple[socket.socket, str]]:
    """Something that takes connections, and where."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener, f"127.0.0.1:{listener.getsockname()[1]}"


def start_latch(*where: str, seconds: float, message: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        step_command("latch"),
        env={
            "ANIMUS_PLACES": ",".join(where),
            "ANIMUS_LATCH_SECONDS": str(seconds),
            "ANIMUS_REPORT_MESSAGE": str(message),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Finished:
    out, err = process.communicate(timeout=PATIENCE)
    return Finished(code=process.returncode, out=out, err=err)


def test_latch_ends_once_neither_is_reached(tmp_path: Path) -> None:
    message = tmp_path / "message"
    with answering() as (api, one), answering() as (store, other):
        latch = start_latch(one, other, seconds=PATIENCE, message=message)
        api.accept()[0].close()  # it has asked
        store.accept()[0].close()
    assert finish(latch) == Finished(code=0, out="", err="")
    assert json.loads(message.read_text()) == {"failure": None, "ok": True}


def test_latch_does_not_end_while_one_of_them_is_reached(tmp_path: Path) -> None:
    message = tmp_path / "message"
    with answering() as (_, one):
        done = finish(start_latch(NOBODY, one, seconds=1, message=message))
    assert done.code == 1
    said = json.loads(message.read_text())["failure"]
    assert (said["class"], said["code"]) == ("environment", "egress_not_closed")


def test_latch_without_a_place_to_try_closes_nothing(tmp_path: Path) -> None:
    done = finish(start_latch(seconds=1, message=tmp_path / "message"))
    assert done.code == 1
    assert "ANIMUS_PLACES is not set" in done.err


def test_one_lost_packet_is_no_closed_network(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, False, True, False, False])
    monkeypatch.setattr(places, "_is_reached", lambda _: next(answers))
    assert are_closed([("api", 1)], within=PATIENCE)
    assert list(answers) == []


def test_both_must_be_reached_before_collect_begins() -> None:
    with answering() as (_, one), answering() as (_, other):
        assert are_open(read_places({"ANIMUS_PLACES": f"{one},{other}"}), within=PATIENCE)
        assert not are_open(read_places({"ANIMUS_PLACES": f"{one},{NOBODY}"}), within=0)


def test_reach_is_for_who_examines_a_cluster() -> None:
    with answering() as (_, one):
        for where, code in ((one, 0), (f"{one},{NOBODY}", 1)):
            environment = {"ANIMUS_PLACES": where, "ANIMUS_LATCH_SECONDS": "0"}
            assert (
                subprocess.run(step_command("reach"), env=environment, check=False).returncode
                == code
            )


def test_where_nothing_is_switched_nothing_is_waited_for() -> None:
    assert read_places({}) == ()
    assert are_open((), within=0)


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsUnfit, match="ANIMUS_PLACES"):
        read_places({"ANIMUS_PLACES": "api.example"})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, True), ({"ANIMUS_EGRESS": "plan"}, True), ({"ANIMUS_EGRESS": "store"}, False)],
)
def test_collect_begins_where_the_label_says_that_main_is_next(
    environment: dict[str, str], expected: bool
) -> None:
    assert is_switched(environment) is expected


def test_collect_gives_no_sign_while_the_network_of_fetch_is_there(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    done = subprocess.run(
        step_command("collect"),
        env={
            "ANIMUS_ATTEMPT_DIR": str(tmp_path),
            "ANIMUS_ATTEMPT_TOKEN_FILE": str(token),
            "ANIMUS_GATEWAY_URL": "http://127.0.0.1:1",
            "ANIMUS_COLLECT_AFTER": "SIGTERM",
            "ANIMUS_COLLECT_READY": "ready",
            "ANIMUS_EGRESS": "store",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert "still there" in done.stderr
    assert not (tmp_path / "ready").exists()
