"""What a step logs on a laptop: files beside it, that hold what a platform would have taken."""

from __future__ import annotations

import json
from pathlib import Path

import animus_sdk
import pytest
from animus_sdk.telemetry import in_step
from animus_sdk.telemetry.local_files import DIRECTORY_VARIABLE, MAX_LINE, read_metrics


@pytest.fixture
def telemetry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    monkeypatch.setenv("ANIMUS_STEP", "train")
    monkeypatch.setattr(in_step, "_process", in_step._Process())
    return tmp_path


def test_metrics_and_messages_are_lines_at_once(telemetry: Path) -> None:
    assert animus_sdk.in_step()
    for epoch in range(3):
        animus_sdk.log_metrics({"loss": 1 - epoch / 4, "acc": epoch / 4}, step=epoch)
    animus_sdk.log_metric("loss", float("nan"))
    animus_sdk.log_metric("../x", 1.0)
    animus_sdk.log_event("epoch done", level="info", epoch=2)
    assert animus_sdk.flush()
    assert [(m.name, m.step_number, m.value, m.points) for m in read_metrics(telemetry)] == [
        ("acc", 2, 0.5, 3), ("loss", 2, 0.5, 3),
    ]  # fmt: skip
    (message,) = (telemetry / "messages.jsonl").read_text().splitlines()
    assert json.loads(message)["message"] == "epoch done"


def test_what_is_no_point_is_left_out_when_it_is_read(telemetry: Path) -> None:
    lines = ['{"name": "a", "value": 1, "step_number": 0}', "x", "[]", '{"name": "b"}', "\x00"]
    (telemetry / "metrics.jsonl").write_text("\n".join(lines))
    assert [m.name for m in read_metrics(telemetry)] == ["a"]
    deep = "[" * (MAX_LINE - 1)
    endless = '{"name": "b", "value": 1, "step_number": Infinity}'
    long = '{"name": "c", "value": 1, "step_number": 0' + " " * MAX_LINE + "}"
    (telemetry / "metrics.jsonl").write_text("\n".join([deep, endless, long, lines[0]]))
    assert [m.name for m in read_metrics(telemetry)] == ["a"]
    (telemetry / "metrics.jsonl").unlink()
    (telemetry / "metrics.jsonl").symlink_to("/etc/passwd")
    assert read_metrics(telemetry) == []


def test_an_artifact_is_a_copy_that_is_registered_nowhere(telemetry: Path) -> None:
    file = telemetry / "coefficients.csv"
    file.write_text("a,b\n")
    kept = animus_sdk.upload_artifact(file, kind="table")
    assert (kept["origin"], kept["usable"], kept["step"]) == ("local", False, "train")
    assert (kept["media_type"], kept["size"]) == ("text/csv", 4)
    assert (telemetry / "artifacts" / "coefficients.csv").read_text() == "a,b\n"
    with pytest.raises(animus_sdk.FileUnfit):
        animus_sdk.upload_artifact(file, name="../../x")
    with pytest.raises(animus_sdk.FileUnfit):
        animus_sdk.upload_artifact(telemetry / "absent")
