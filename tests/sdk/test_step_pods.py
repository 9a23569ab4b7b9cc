"""Fetch and collect as a pod runs them: over the network, signalled by the kubelet, beside a main
that may be anybody."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from animus_sdk.errors import SettingsUnfit
from animus_sdk.step import mains
from animus_sdk.step.attempts import read_attempt_context
from animus_sdk.step.fetch import fetch
from animus_sdk.transfer.digests import digest_of
from animus_sdk.wire.connections import store_client

from tests.sdk.attempt_places import (
    AttemptPlace,
    collect_request,
    full_request,
    open_place,
    start_run,
    step_command,
)
from tests.sdk.faulty_proxies import faulty_proxy, held_forwarder
from tests.sdk.platforms import CHECKOUT, QUICK, Finished, Platform, pipeline, unique
from tests.support.waiting import PATIENCE, POLL

MODEL = {"name": "model", "path": "model"}
SOMEBODY = 41_234
"""Neither the user nor the group of fetch."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")


@pytest.fixture
def place(platform: Platform, tmp_path: Path) -> AttemptPlace:
    """An open attempt of a step without inputs."""
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    return open_place(platform, tmp_path, run_id)


@pytest.fixture
def full_place(platform: Platform, tmp_path: Path) -> AttemptPlace:
    """An open attempt of a step with data, code and parameters."""
    return open_place(platform, tmp_path, start_run(platform, full_request(platform, tmp_path)))


# Over the network


def test_fetch_and_collect_work_over_the_network(
    platform: Platform, full_place: AttemptPlace
) -> None:
    environment = full_place.pod_environment(platform.url)
    fetched = full_place.run("fetch", environment)
    assert (fetched.code, fetched.err) == (0, "")
    assert (full_place.directory / "in/cancer/a.csv").read_text().startswith("a-")
    (full_place.out / "model").write_bytes(unique("model").encode())
    full_place.ask(MODEL)
    collected = full_place.run("collect", environment)
    assert (collected.code, collected.err) == (0, "")
    closed = platform.driver.close_attempt(
        platform.project_id,
        full_place.attempt,
        outputs=full_place.report("collect")["outputs"],
    )
    assert closed == "succeeded"


def test_the_store_has_an_address_of_its_own_and_the_host_stays_as_signed(
    platform: Platform, full_place: AttemptPlace
) -> None:
    """The store refuses a URL whose signed host is another one than it is told."""
    with faulty_proxy(platform.store_url) as store:
        address = store.url.removeprefix("http://")
        environment = full_place.pod_environment(platform.url, ANIMUS_STORE_ADDRESS=address)
        assert full_place.run("fetch", environment).code == 0
        (full_place.out / "model").write_bytes(unique("model").encode())
        full_place.ask(MODEL)
        assert full_place.run("collect", environment).code == 0
        assert store.count("GET") == 3
        assert store.count("PUT") == 1


def test_an_address_for_encrypted_urls_is_refused() -> None:
    with (
        store_client(timeout=1, address=("127.0.0.1", 1)) as client,
        pytest.raises(SettingsUnfit, match="https"),
    ):
        client.get("https://store.example/x")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"ANIMUS_GATEWAY_URL": "http://x", "ANIMUS_API_SOCKET": "/x"}, "are both set"),
        ({"ANIMUS_GATEWAY_URL": "http://x", "ANIMUS_STORE_SOCKET": "/x"}, "are both set"),
        ({"ANIMUS_API_SOCKET": "/x", "ANIMUS_STORE_ADDRESS": "x:1"}, "are both set"),
        ({"ANIMUS_STORE_ADDRESS": "x:1"}, "ANIMUS_GATEWAY_URL is not set"),
        ({"ANIMUS_GATEWAY_URL": "unix:///x"}, "ANIMUS_API_SOCKET"),
        ({"ANIMUS_GATEWAY_URL": "x"}, "a gateway is written as"),
        ({"ANIMUS_GATEWAY_URL": "http://x", "ANIMUS_STORE_ADDRESS": "x"}, "host:port"),
        ({"ANIMUS_GATEWAY_URL": "http://x", "ANIMUS_STORE_ADDRESS": "http://x:1"}, "host:port"),
        ({"ANIMUS_GATEWAY_URL": "http://x", "ANIMUS_STORE_ADDRESS": "x:y"}, "host:port"),
        ({"ANIMUS_GATEWAY_URL": "http://x", "ANIMUS_LAUNCHER": "../x"}, "ANIMUS_LAUNCHER"),
        ({"ANIMUS_GATEWAY_URL": "http://x", "ANIMUS_SHARED": "0"}, "is 1 or not set"),
        ({"ANIMUS_GATEWAY_URL": "http://x", "ANIMUS_COLLECT_AFTER": "SIGINT"}, "is SIGTERM or not"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(said: dict[str, str], why: str) -> None:
    attempt = {"ANIMUS_ATTEMPT_DIR": "/x", "ANIMUS_ATTEMPT_TOKEN_FILE": "/y"}
    with pytest.raises(SettingsUnfit, match=why):
        read_attempt_context(attempt | said)


def test_an_address_may_be_of_ip_version_6() -> None:
    said = {
        "ANIMUS_ATTEMPT_DIR": "/x",
        "ANIMUS_ATTEMPT_TOKEN_FILE": "/y",
        "ANIMUS_GATEWAY_URL": "http://[::1]:80",
        "ANIMUS_STORE_ADDRESS": "[::1]:7070",
    }
    assert read_attempt_context(said).store.address == ("::1", 7070)


# Signals


def test_collect_waits_for_the_end_of_main(platform: Platform, place: AttemptPlace) -> None:
    with _waiting_collect(platform, place) as process:
        _until(lambda: _is_waiting(process.pid), "collect waits")
        (place.out / "model").write_bytes(unique("late").encode())
        process.send_signal(signal.SIGTERM)
        assert _finish(process).code == 0
    assert place.report("collect")["missing"] == []


def test_a_signal_that_comes_before_anything_is_imported_is_kept(
    platform: Platform, place: AttemptPlace
) -> None:
    (place.out / "model").write_bytes(unique("early").encode())
    with _waiting_collect(platform, place) as process:
        _until(lambda: _blocks(process.pid, signal.SIGTERM), "SIGTERM is blocked")
        process.send_signal(signal.SIGTERM)
        assert _finish(process).code == 0
    assert place.report("collect")["ok"]


def test_collect_waits_until_its_network_is_there_again(
    platform: Platform, place: AttemptPlace
) -> None:
    (place.out / "model").write_bytes(unique("switched").encode())
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens there yet
        where = f"127.0.0.1:{held.getsockname()[1]}"
        with _waiting_collect(platform, place, ANIMUS_PLACES=where) as process:
            _until(lambda: _is_waiting(process.pid), "collect waits")
            process.send_signal(signal.SIGTERM)
            _until(lambda: not _is_waiting(process.pid), "collect has heard it")
            assert process.poll() is None
            assert not (place.directory / "collect.json").exists()
            held.listen()
            assert _finish(process).code == 0
    assert place.report("collect")["ok"]


def test_a_signal_is_taken_before_what_takes_long_is_imported() -> None:
    """Without site-packages, whose start-up files import what they like."""
    program = "import sys, animus_sdk.step.signals; print(*sys.modules)"
    command = [sys.executable, "-S", "-c", program]
    loaded = subprocess.check_output(command, cwd=CHECKOUT / "sdk", text=True).split()
    assert "animus_sdk" in loaded
    assert not {"httpx", "ssl", "json", "typing", "threading"} & set(loaded)


def test_a_second_signal_during_an_upload_is_ignored(
    platform: Platform, place: AttemptPlace
) -> None:
    (place.out / "model").write_bytes(unique("twice").encode())
    with (
        held_forwarder(platform.store_url) as held,
        _waiting_collect(platform, place, ANIMUS_STORE_ADDRESS=held.address) as process,
    ):
        _until(lambda: _is_waiting(process.pid), "collect waits")
        process.send_signal(signal.SIGTERM)
        assert held.arrived.wait(PATIENCE)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        held.release.set()
        assert _finish(process).code == 0
    assert place.report("collect")["ok"]


def test_collect_that_was_killed_during_an_upload_is_started_again(
    platform: Platform, place: AttemptPlace
) -> None:
    (place.out / "model").write_bytes(unique("again").encode())
    with (
        held_forwarder(platform.store_url) as held,
        _waiting_collect(platform, place, ANIMUS_STORE_ADDRESS=held.address) as process,
    ):
        _until(lambda: _is_waiting(process.pid), "collect waits")
        process.send_signal(signal.SIGTERM)
        assert held.arrived.wait(PATIENCE)
        process.kill()
        held.release.set()
        assert _finish(process).code == -signal.SIGKILL
    assert not (place.directory / "collect.json").exists()
    with _waiting_collect(platform, place) as process:
        _until(lambda: _is_waiting(process.pid), "collect waits")
        process.send_signal(signal.SIGTERM)
        assert _finish(process).code == 0
    assert [one["name"] for one in place.report("collect")["outputs"]] == ["model"]


@needs_root
def test_fetch_ends_with_its_pod_also_as_process_1(place: AttemptPlace) -> None:
    """The kernel drops for process 1 what it has no handler for."""
    with held_forwarder("http://127.0.0.1:1") as silent:
        environment = place.pod_environment(f"http://{silent.address}")
        process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", *step_command("fetch")], env=environment
        )
        try:
            assert silent.arrived.wait(PATIENCE)
            (first,) = _children(process.pid)
            os.kill(first, signal.SIGTERM)
            assert process.wait(PATIENCE) == 128 + signal.SIGTERM
        finally:
            process.kill()
            process.wait()
            silent.release.set()
    assert not (place.directory / "fetch.json").exists()


# Reports


def test_a_report_is_left_as_a_message_too(
    platform: Platform, place: AttemptPlace, tmp_path: Path
) -> None:
    message = tmp_path / "termination-log"
    message.write_text("x" * 10_000)
    environment = place.pod_environment(platform.url, ANIMUS_REPORT_MESSAGE=str(message))
    assert place.run("fetch", environment).out == ""
    assert json.loads(message.read_text()) == place.report("fetch")
    (place.out / "model").write_bytes(b"model")
    place.ask(MODEL)
    assert place.run("collect", environment).out == ""
    assert json.loads(message.read_text()) == place.report("collect")
    assert " " not in message.read_text()


def test_a_failure_is_left_as_a_message_too(
    platform: Platform, place: AttemptPlace, tmp_path: Path
) -> None:
    message = tmp_path / "termination-log"
    place.token_file.write_text("anma_wrong")
    environment = place.pod_environment(platform.url, ANIMUS_REPORT_MESSAGE=str(message))
    assert place.run("fetch", environment).code == 1
    assert json.loads(message.read_text())["failure"]["class"] == "platform"


@pytest.mark.parametrize("over", [0, 1])
def test_a_report_that_is_too_long_for_a_message_is_in_the_log(
    platform: Platform, place: AttemptPlace, tmp_path: Path, over: int
) -> None:
    """The names that are missing make it as long as a test wants, to the byte."""
    message = tmp_path / "termination-log"
    environment = place.pod_environment(platform.url, ANIMUS_REPORT_MESSAGE=str(message))
    first = {"name": "ü", "path": "a"}
    place.ask(first)
    place.run("collect", environment)
    free = 3_000 - len(message.read_text()) + over
    place.ask({"name": "ü" + "x" * free, "path": "a"})
    done = place.run("collect", environment)
    report = place.report("collect")
    assert report["missing"] == ["ü" + "x" * free]
    if over:
        assert message.read_text() == '{"in":"log"}'
        (line,) = done.out.splitlines()
        mark, _, said = line.partition(" ")
        assert (mark, json.loads(said), len(said)) == ("animus-report", report, 3_001)
    else:
        assert done.out == ""
        assert len(message.read_bytes()) == 3_000


def test_a_request_in_the_environment_is_taken_instead_of_the_file(
    platform: Platform, place: AttemptPlace
) -> None:
    (place.out / "model").write_bytes(b"model")
    place.ask({"name": "other", "path": "other"})
    request = collect_request(MODEL, exit_code=None)
    environment = place.pod_environment(platform.url, ANIMUS_COLLECT_REQUEST=request)
    assert place.run("collect", environment).code == 0
    (output,) = place.report("collect")["outputs"]
    assert (output["name"], output["sha256"]) == ("model", digest_of(b"model"))


# Main in a container of its own

AS_MAIN = """
set -eu
test "$(id -u):$(id -g):$(id -G)" = 41234:41234:41234
grep -q a- in/cancer/a.csv
test "$(cat code/train.py)" = "print(1)"
grep -q seed params.json
work/run.sh
echo changed > work/train.py
echo new > work/new
rm work/again.py
mkdir -p out/plots/deep
echo roc > out/plots/deep/roc.txt
for closed in in/new in/cancer/sub/new in/cancer/a.csv code/new code/train.py new params.json; do
    if (echo x >> "$closed") 2>/dev/null; then echo "$closed is writable"; exit 1; fi
done
"""


@needs_root
def test_a_main_of_another_user_reads_and_writes_what_is_its(
    platform: Platform, full_place: AttemptPlace
) -> None:
    environment = full_place.pod_environment(platform.url, ANIMUS_SHARED="1")
    assert full_place.run("fetch", environment).code == 0
    main = subprocess.run(
        ["/bin/sh", "-c", AS_MAIN],
        cwd=full_place.directory,
        user=SOMEBODY,
        group=SOMEBODY,
        extra_groups=(),
        capture_output=True,
        text=True,
    )
    assert (main.returncode, main.stdout, main.stderr) == (0, "", "")
    full_place.ask({"name": "plots", "path": "plots"})
    assert full_place.run("collect", environment).code == 0
    assert full_place.report("collect")["missing"] == []


def test_nothing_is_opened_where_main_is_the_same_user(
    platform: Platform, full_place: AttemptPlace
) -> None:
    assert full_place.run("fetch", full_place.pod_environment(platform.url)).code == 0
    paths = [path for path in full_place.directory.rglob("*") if not path.is_symlink()]
    assert not [path for path in paths if path.stat().st_mode & stat.S_IWOTH]


def test_fetch_puts_the_launcher_where_it_is_told(
    platform: Platform, place: AttemptPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "launch").write_bytes(b"\x7fELF")
    (tmp_path / "launch").chmod(0o600)
    monkeypatch.setattr(mains, "LAUNCHER", tmp_path / "launch")
    environment = place.pod_environment(platform.url, ANIMUS_LAUNCHER="bin/launch")
    for _ in range(2):
        assert fetch(read_attempt_context(environment), patience=QUICK)
        launcher = place.directory / "bin" / "launch"
        assert launcher.read_bytes() == b"\x7fELF"
        assert stat.S_IMODE(launcher.stat().st_mode) == 0o755
        assert stat.S_IMODE(launcher.parent.stat().st_mode) == 0o755
        assert [path.name for path in launcher.parent.iterdir()] == ["launch"]


def test_an_image_without_the_launcher_is_a_failure_of_the_platform(
    platform: Platform, place: AttemptPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mains, "LAUNCHER", tmp_path / "launch")
    environment = place.pod_environment(platform.url, ANIMUS_LAUNCHER="bin/launch")
    assert not fetch(read_attempt_context(environment), patience=QUICK)
    failure = place.report("fetch")["failure"]
    assert (failure["class"], failure["code"]) == ("platform", "no_launcher")


@contextmanager
def _waiting_collect(
    platform: Platform, place: AttemptPlace, **more: str
) -> Iterator[subprocess.Popen[str]]:
    place.ask(MODEL)
    environment = place.pod_environment(platform.url, ANIMUS_COLLECT_AFTER="SIGTERM", **more)
    process = place.start("collect", environment)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _finish(process: subprocess.Popen[str]) -> Finished:
    out, err = process.communicate(timeout=PATIENCE)
    return Finished(code=process.returncode, out=out, err=err)


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"It did not come to this: {what}"
        time.sleep(POLL)


def _is_waiting(process: int) -> bool:
    """In rt_sigtimedwait, by its number on x86-64."""
    return Path(f"/proc/{process}/syscall").read_text().startswith("128 ")


def _blocks(process: int, signal: signal.Signals) -> bool:
    status = Path(f"/proc/{process}/status").read_text()
    (mask,) = re.findall(r"^SigBlk:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(mask, 16) >> (signal - 1) & 1)


def _children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in listed.split()]
