"""What is named on the command line for a run, and may be a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from animus_sdk.cli.repeats import is_run_reference


@pytest.mark.parametrize("said", ["calm-otter-12", "@last", "x" * 300, "a\x00b"])
def test_what_can_be_no_file_is_a_run(said: str) -> None:
    assert is_run_reference(said)


@pytest.mark.parametrize("said", ["gone.yaml", "./gone", "-", "there"])
def test_what_is_written_as_a_file_or_is_there_is_one(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    assert not is_run_reference(said)
