"""Logs stay small while their writers keep writing."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from deploy.embedded import console
from deploy.embedded.console import Console
from deploy.embedded.logs import KEPT, numbered, open_log, rotate, tail


def test_a_large_log_is_moved_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    with open(open_log(log), "wb", buffering=0) as writer:
        for number in range(KEPT + 3):
            writer.write(b"%d " % number + b"x" * 100 + b"\n")
            rotate(log, max_bytes=50)
        writer.write(b"last\n")
    assert log.read_text() == "last\n"
    first_characters = [numbered(log, n).read_text()[0] for n in range(1, KEPT + 1)]
    assert first_characters == ["5", "4", "3"]
    assert not numbered(log, KEPT + 1).exists()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    os.close(open_log(log))
    rotate(log)
    rotate(tmp_path / "never-written.log")
    assert list(tmp_path.iterdir()) == [log]


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    log.write_text("".join(f"{number} {'x' * 100}\n" for number in range(2000)))
    assert [line.split()[0] for line in tail(log, 2).splitlines()] == ["1998", "1999"]
    assert tail(tmp_path / "missing", 2) == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_what_is_done_and_how_it_ended(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "TERMINAL_INTERVAL", 0)
    monkeypatch.setattr(console, "LINE_INTERVAL", 0)
    said = io.StringIO()
    progress = Console(said, terminal=terminal).progress("building one")
    progress.tick("3 packages")
    progress.done()
    assert "building one ... 0 s (3 packages)" in said.getvalue()
    assert said.getvalue().endswith("building one: done in 0.0 s\n")
    assert ("\r" in said.getvalue()) is terminal
