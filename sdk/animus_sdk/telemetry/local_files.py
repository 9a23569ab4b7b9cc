"""What a step logs where no gateway hears it: in files beside it, for whoever runs it by hand."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsFloat, TextIO

from animus_sdk.errors import FileUnfit
from animus_sdk.telemetry.loggers import say
from animus_sdk.telemetry.points import Message, MetricPoint, Unloggable, message_of, metric_point
from animus_sdk.transfer.digests import digest_of_file
from animus_sdk.transfer.links import shown
from animus_sdk.transfer.manifests import path_problem
from animus_sdk.wire.views import Artifact

DIRECTORY_VARIABLE = "ANIMUS_LOCAL_TELEMETRY"
IN_STEP = "/animus/telemetry"
METRICS, MESSAGES, ARTIFACTS = "metrics.jsonl", "messages.jsonl", "artifacts"
LOCAL = "local"
MAX_LINE = 16 * 1024
"""More than any point has: a step may write a line that no memory holds."""


def find_directory(environment: Mapping[str, str]) -> Path | None:
    said = environment.get(DIRECTORY_VARIABLE)
    return Path(said) if said else None


class LocalLogger:
    """As `RunTelemetryLogger`: no method raises. Each line is there before the call returns."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self.dropped = 0

    def log_metric(self, name: str, value: SupportsFloat, step: int = 0) -> None:
        self._write(METRICS, lambda: metric_point(name, value, step))

    def log_metrics(self, metrics: Mapping[str, SupportsFloat], step: int = 0) -> None:
        for name, value in metrics.items():
            self.log_metric(name, value, step)

    def log_event(
        self, message: str, level: str = "info", fields: Mapping[str, Any] | None = None
    ) -> None:
        self._write(MESSAGES, lambda: message_of(message, level, fields or {}))

    def flush(self, timeout: float = 0.0) -> bool:
        return True

    def close(self, timeout: float = 0.0) -> None:
        """Say what was dropped."""
        if self.dropped:
            say(f"metrics or messages were not recorded: {self.dropped}")
            self.dropped = 0

    def _write(self, name: str, make: Callable[[], MetricPoint | Message]) -> None:
        try:
            line = json.dumps({**make().document(), "logged_at": time.time()}) + "\n"
            with self._lock, (self._directory / name).open("a", encoding="utf-8") as file:
                file.write(line)
        except (Unloggable, OSError):
            self.dropped += 1
        except Exception:  # noqa: BLE001  # a value's own __float__ may raise anything
            self.dropped += 1


def keep_artifact(
    directory: Path, path: Path, *, run_id: str, step: str, name: str, kind: str, media_type: str
) -> Artifact:
    """A copy beside what was logged; nothing is registered anywhere."""
    problem = path_problem(name)
    if problem is not None:
        raise FileUnfit(f"{shown(name)} {problem}.", code="unsafe_name")
    target = directory / ARTIFACTS / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        sha256, size = digest_of_file(target)
    except OSError as error:
        raise FileUnfit(f"Cannot keep {shown(path)}: {error.strerror}.") from None
    return Artifact(
        id=LOCAL, run_id=run_id, step=step, name=name, kind=kind, form="file",
        media_type=media_type, sha256=sha256, size=size, total_bytes=size,
        usable=False, origin=LOCAL, created_at="",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LastMetric:
    name: str
    step_number: int
    value: float
    points: int


def read_metrics(directory: Path) -> list[LastMetric]:
    """The last point of each metric. The file is the step's own: what is no point is left out."""
    last: dict[str, LastMetric] = {}
    for said in _documents(directory / METRICS):
        try:
            point = metric_point(str(said["name"]), said["value"], said["step_number"])
        except (Unloggable, KeyError, TypeError, ValueError, OverflowError):
            continue
        known = last.get(point.name)
        last[point.name] = LastMetric(
            name=point.name,
            step_number=point.step_number,
            value=point.value,
            points=known.points + 1 if known is not None else 1,
        )
    return [last[name] for name in sorted(last)]


def _documents(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as lines:
        for line in _bounded(lines):
            try:
                said = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(said, dict):
                yield said


def _bounded(lines: TextIO) -> Iterator[str]:
    """Those that are not too long."""
    is_rest = False
    while part := lines.readline(MAX_LINE):
        is_whole = part.endswith("\n") or len(part) < MAX_LINE
        if is_whole and not is_rest:
            yield part
        is_rest = not part.endswith("\n")
