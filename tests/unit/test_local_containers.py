"""How an attempt ends whose engine's client, or whoever hears it, is gone before its step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from animus_sdk.errors import FileUnfit
from animus_sdk.local.attempts import AttemptEnd, LocalAttempt, OnLine
from animus_sdk.local.engines import EngineFailed
from animus_sdk.local.folders import StepFolder
from animus_sdk.local.mains import StepMain
from animus_sdk.local.steps import read_step

from tests.sdk.local_steps import podman
from tests.support.documents import explicit_step

MUCH = "head -c 300000 /dev/zero | tr '\\0' '\\n'"
"""More than a pipe holds: who does not read it on keeps its writer for ever."""


def attempt(folder: Path, *, starts: str, running: bool, **changes: Any) -> LocalAttempt:
    """By a program that stands where podman does; `starts` is its client while the step runs."""
    state: dict[str, Any] = {"Running": running, "ExitCode": 0, "StartedAt": "2026-11-22T09:00:00Z"}
    (folder / "state.json").write_text(json.dumps([{"State": state}]))
    program = folder / "podman"
    program.write_text(
        f"#!/bin/sh\necho $1 >> {folder}/asked\n"
        f'case "$1" in start) {starts} ;; container) cat {folder}/state.json ;; esac\n'
    )
    program.chmod(0o755)
    main = StepMain(
        step=read_step(explicit_step(**changes)),
        engine=podman(command=(str(program),), rootless=True),
        image="an image", folder=StepFolder(root=folder / "step"), run_id="r", attempt=1,
        parameters={},
    )  # fmt: skip
    return LocalAttempt(main=main, inputs={}, source=None)


def run(one: LocalAttempt, on_line: OnLine = lambda _: None) -> AttemptEnd:
    return one.run(on_line, lambda _: None)


def test_a_step_that_outlives_the_engines_client_has_not_succeeded(tmp_path: Path) -> None:
    one = attempt(tmp_path, starts="echo begun; kill -KILL $$", running=True)
    with pytest.raises(EngineFailed, match="client of podman ended before the step did"):
        run(one)
    assert (tmp_path / "asked").read_text().split()[-1] == "rm"
    assert run(attempt(tmp_path, starts="echo begun", running=False)).failure is None


def test_who_no_longer_listens_ends_the_step_and_not_the_engines_client(tmp_path: Path) -> None:
    heard: list[bytes] = []

    def listen_once(line: bytes) -> None:
        heard.append(line)
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run(attempt(tmp_path, starts=MUCH, running=False), listen_once)
    assert heard == [b"\n"]
    assert (tmp_path / "asked").read_text().split()[-1] == "rm"


def test_a_step_is_ended_soon_after_nobody_listens(tmp_path: Path) -> None:
    def deaf(_line: bytes) -> None:
        raise BrokenPipeError

    is_there = f"[ $(grep -c rm {tmp_path}/asked) -lt 2 ]"
    end = f"while [ $((n += 1)) -lt 99 ] && {is_there}; do sleep 0.1; done"
    with pytest.raises(BrokenPipeError):
        run(
            attempt(tmp_path, starts=f"echo begun; {end}; echo $n >> {tmp_path}/n", running=True),
            deaf,
        )
    assert int((tmp_path / "n").read_text()) < 60


def test_a_log_that_the_disk_refuses_is_told_as_such(tmp_path: Path) -> None:
    one = attempt(tmp_path, starts="echo begun", running=False)
    one.folder.root.mkdir()
    (one.folder.root / "log.txt").symlink_to("/dev/full")
    with pytest.raises(FileUnfit, match="disk is full"):
        run(one)


@pytest.mark.parametrize("place", ["work", "out", "telemetry"])
def test_whatever_main_writes_counts_against_its_storage(tmp_path: Path, place: str) -> None:
    target = tmp_path / "step" / place / "file"
    one = attempt(
        tmp_path, starts=f"head -c 3000000 /dev/zero > {target}; sleep 30", running=True,
        resources={"cpu": "1", "memory": "96Mi", "gpu": 0, "ephemeralStorage": "2Mi"},
        telemetry=True,
    )  # fmt: skip
    program = tmp_path / "podman"  # it ends its client as podman does
    program.write_text(
        program.read_text()
        .replace("sleep 30", "sleep 30 & echo $! > $0.pid; wait")
        .replace("container)", "kill) kill $(cat $0.pid) ;; container)")
    )
    failure = run(one).failure
    assert failure is not None
    assert failure.code == "storage_exceeded"
