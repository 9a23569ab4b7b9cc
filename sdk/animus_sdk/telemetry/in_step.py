"""The functions that training code calls. Outside a step, logging does nothing and says so once.

In a step that somebody runs on a machine of his own it writes files there.
"""

from __future__ import annotations

import atexit
import mimetypes
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, SupportsFloat

from animus_sdk.errors import AnimusError
from animus_sdk.resources.artifacts import DEFAULT_MEDIA_TYPE, Artifacts
from animus_sdk.telemetry.local_files import LocalLogger, find_directory, keep_artifact
from animus_sdk.telemetry.loggers import RunTelemetryLogger, say
from animus_sdk.telemetry.step_contexts import (
    RUN_VARIABLE,
    STEP_VARIABLE,
    find_step_context,
    get_step_context,
)
from animus_sdk.wire.retries import RetryPolicy
from animus_sdk.wire.views import Artifact

TIMEOUT_SECONDS = 30.0
PATIENCE = RetryPolicy(retries=12, total_seconds=120.0)

Logger = RunTelemetryLogger | LocalLogger


class _Process:
    """The one logger of this process, made when something is first logged."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logger: Logger | None = None
        self._looked = False

    def find_logger(self) -> Logger | None:
        with self._lock:
            if not self._looked:
                self._looked = True
                self._logger = self._make()
            return self._logger

    def close(self) -> None:
        with self._lock:
            if self._logger is not None:
                self._logger.close()

    def forget(self) -> None:
        """In a forked child: threads do not cross a fork, so it starts its own logger."""
        self._lock = threading.Lock()
        self._logger = None
        self._looked = False

    def _make(self) -> Logger | None:
        directory = find_directory(os.environ)
        if directory is not None:
            return LocalLogger(directory)
        try:
            context = find_step_context(os.environ)
            if context is not None:
                return RunTelemetryLogger(context)
            say("not in a step with 'telemetry: true'; metrics and messages go nowhere")
        except (AnimusError, OSError, RuntimeError) as error:
            say(f"metrics and messages go nowhere: {error}")
        return None


_process = _Process()
atexit.register(_process.close)
os.register_at_fork(after_in_child=_process.forget)


def in_step() -> bool:
    """Whether this runs inside a step with `telemetry: true`, also on a machine of one's own."""
    return find_directory(os.environ) is not None or find_step_context(os.environ) is not None


def log_metric(name: str, value: SupportsFloat, step: int = 0) -> None:
    """One point of a metric. Never raises, never waits; sent in the background."""
    logger = _process.find_logger()
    if logger is not None:
        logger.log_metric(name, value, step)


def log_metrics(metrics: Mapping[str, SupportsFloat], step: int = 0) -> None:
    """Several metrics at one step number."""
    logger = _process.find_logger()
    if logger is not None:
        logger.log_metrics(metrics, step)


def log_event(message: str, level: str = "info", **fields: Any) -> None:
    """A message for who watches the run; `level` is debug, info, warning or error."""
    logger = _process.find_logger()
    if logger is not None:
        logger.log_event(message, level, fields)


def flush(timeout: float = 10.0) -> bool:
    """Wait until what was logged is sent; False where the time did not suffice."""
    logger = _process.find_logger()
    return logger is None or logger.flush(timeout)


def upload_artifact(
    path: Path | str,
    *,
    kind: str = "file",
    name: str | None = None,
    media_type: str | None = None,
) -> Artifact:
    """Add a file to this run, now; returns when it is registered, and raises when it is not.

    Raises `NotInStep` outside a step with `telemetry: true`: ask `in_step()` first where the same
    code runs elsewhere too.
    """
    directory = find_directory(os.environ)
    if directory is not None:
        guessed = mimetypes.guess_type(str(path))[0] or DEFAULT_MEDIA_TYPE
        return keep_artifact(
            directory, Path(path),
            run_id=os.environ.get(RUN_VARIABLE, ""), step=os.environ.get(STEP_VARIABLE, ""),
            name=name or Path(path).name, kind=kind, media_type=media_type or guessed,
        )  # fmt: skip
    context = get_step_context(os.environ)
    scope = context.open(timeout=TIMEOUT_SECONDS, retries=PATIENCE)
    try:
        return Artifacts(scope).upload(
            context.run_id, path, kind=kind, name=name, media_type=media_type
        )
    finally:
        scope.gateway.close()
        scope.store.close()
