"""Why main ended as it did, by what the engine, the kernel and we ourselves know."""

from __future__ import annotations

import io
import re
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from animus.adapters.steps.failures import (
    Unrunnable,
    exited_with,
    out_of_memory,
    platform_failure,
    storage_exceeded,
    timed_out,
    user_failure,
)
from animus.adapters.steps.logs import read_k8s_file, write_log
from animus.adapters.steps.redaction import Redactor
from animus.domain.pipelines import Step
from animus.domain.work_orders import Failure, Posture, Usage

_KILLED, _TERMINATED, _TOO_LARGE_FILE = 128 + 9, 128 + 15, 128 + 25
_BY_THE_ENGINE = -1
"""Podman's exit code for what its own timeout ended."""

# What an init process says when there is nothing to start; it ends with 1 then.
_NOT_STARTED = re.compile(rb"^\S+ err ERROR \(catatonit:\d+\): failed to exec pid1: ([^\n]*)\n$")
_REASONS = {b"No such file or directory": 127, b"Permission denied": 126, b"Exec format error": 126}

_NOT_FOUND, _NOT_EXECUTABLE = "the command is not in the image", "the command cannot be executed"
_REFUSED_STARTS = (
    (re.compile(r"executable file .*not found"), 127, _NOT_FOUND),
    (re.compile(r"exec: .*: no such file or directory"), 127, _NOT_FOUND),
    (re.compile(r"exec: .*: permission denied"), 126, _NOT_EXECUTABLE),
    (re.compile(r"exec format error"), 126, "the command is no program for this machine"),
    (re.compile(r"argument list too long"), 126, "its arguments and variables are too long"),
)


class Limit(StrEnum):
    """For which limit of its own we ended main."""

    TIME = "time"
    STORAGE = "storage"


class MainEnd(BaseModel):
    """What is known of main once it has ended, as the journal keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exit_code: int | None
    """None where nobody saw it: its monitor or its record was taken away from outside."""
    started_at: datetime
    finished_at: datetime
    posture: Posture
    over: Limit | None = None
    out_of_memory: bool = False
    charges: Usage = Usage()
    """Processor and memory."""


def failure_of(end: MainEnd, step: Step) -> Failure | None:
    """None for success. Messages hold nothing that the step wrote."""
    if end.over is not None:
        return _over(end.over, step)
    if end.exit_code is None:
        return platform_failure("lost", "The container was taken away from outside while it ran.")
    if end.exit_code == 0:
        return None
    if end.out_of_memory:
        return out_of_memory(step)
    if _ran_its_time(end, step):
        return _over(Limit.TIME, step)
    return _by_exit_code(end.exit_code, step)


def exit_code_of_unstarted(raw_log: bytes) -> int | None:
    """What a shell would have said of a command that could not be started at all.

    Of podman's log, whose lines come in parts where they were written in parts.
    """
    said = io.BytesIO()
    write_log(read_k8s_file(io.BytesIO(raw_log)), said, limit=2 * len(raw_log), redactor=Redactor())
    found = _NOT_STARTED.match(said.getvalue())
    return _REASONS.get(found.group(1), 126) if found else None


def refused_start(complaint: str) -> Unrunnable | None:
    """What the runtime would not start for the command's own sake; None for all other reasons.

    Only what it says of the command itself counts: podman says of every file that is missing, such
    as one of ours that it should mount, that the command was not found.
    """
    for pattern, code, reason in _REFUSED_STARTS:
        if pattern.search(complaint):
            return Unrunnable(user_failure("exit_code", f"exited with {code}: {reason}"), code)
    return None


def _by_exit_code(code: int, step: Step) -> Failure:
    if code == _TOO_LARGE_FILE:
        return _over(Limit.STORAGE, step)
    if code in (_KILLED, _TERMINATED, _BY_THE_ENGINE):
        return platform_failure(
            "killed",
            "It was killed, not by Animus. Someone on the machine may have done it, or the kernel "
            "for want of memory; nothing here can prove which.",
        )
    return exited_with(code)


def _ran_its_time(end: MainEnd, step: Step) -> bool:
    """Ended by the engine's own timeout, because no agent was there to do it."""
    if end.exit_code not in (_KILLED, _BY_THE_ENGINE):
        return False
    return (end.finished_at - end.started_at).total_seconds() >= step.timeoutSeconds


def _over(limit: Limit, step: Step) -> Failure:
    return timed_out(step) if limit is Limit.TIME else storage_exceeded(step)
