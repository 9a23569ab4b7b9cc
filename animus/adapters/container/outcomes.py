"""Why main ended as it did: from what the engine, the kernel and we ourselves know, to a failure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from animus.domain.pipelines import Step
from animus.domain.runs import FailureClass
from animus.domain.work_orders import Failure

_KILLED, _TERMINATED, _TOO_LARGE_FILE = 128 + 9, 128 + 15, 128 + 25
_BY_THE_ENGINE = -1
"""Podman's exit code for what its own timeout ended."""

_EXPLAINED = {
    126: "the command was found but cannot be executed",
    127: "a command was not found in the image",
    134: "it aborted itself",
    136: "an arithmetic error",
    139: "a memory access violation",
}

# What an init process says when there is nothing to start; it ends with 1 then.
_NOT_STARTED = re.compile(rb"^\S+ stderr F ERROR \(catatonit:\d+\): failed to exec pid1: ([^\n]*)$")
_REASONS = {b"No such file or directory": 127, b"Permission denied": 126, b"Exec format error": 126}


class Unrunnable(Exception):
    """The attempt ends here, for this reason: main will not be started."""

    def __init__(self, failure: Failure, *, exit_code: int | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.exit_code = exit_code


class Limit(StrEnum):
    """For which limit of its own we ended main."""

    TIME = "time"
    STORAGE = "storage"


@dataclass(frozen=True, slots=True, kw_only=True)
class MainEnd:
    exit_code: int | None
    """None where nobody saw it."""
    started_at: datetime | None
    finished_at: datetime
    over: Limit | None = None
    out_of_memory: bool = False
    unwatched: bool = False
    """Its monitor or its record was taken away from outside."""


def failure_of(end: MainEnd, step: Step) -> Failure | None:
    """None for success. Messages hold nothing that the step wrote."""
    if end.over is not None:
        return _over(end.over, step)
    if end.unwatched or end.exit_code is None:
        return _platform("lost", "The container was taken away from outside while it ran.")
    if end.exit_code == 0:
        return None
    if end.out_of_memory:
        limit = step.resources.memory
        return _user("out_of_memory", f"It needed more than its {limit} of memory.")
    if _ran_its_time(end, step):
        return _over(Limit.TIME, step)
    return _by_exit_code(end.exit_code, step)


def exit_code_of_unstarted(log: bytes) -> int | None:
    """What a shell would have said of a command that could not be started at all."""
    found = _NOT_STARTED.match(log.rstrip(b"\n"))
    return _REASONS.get(found.group(1), 126) if found else None


def _by_exit_code(code: int, step: Step) -> Failure:
    if code == _TOO_LARGE_FILE:
        return _over(Limit.STORAGE, step)
    if code in (_KILLED, _TERMINATED, _BY_THE_ENGINE):
        return _platform(
            "killed",
            "It was killed, not by Animus. Someone on the machine may have done it, or the kernel "
            "for want of memory; nothing here can prove which.",
        )
    reason = _EXPLAINED.get(code)
    return _user("exit_code", f"exited with {code}" + (f": {reason}" if reason else ""))


def _ran_its_time(end: MainEnd, step: Step) -> bool:
    """Ended by the engine's own timeout, because no agent was there to do it."""
    if end.exit_code not in (_KILLED, _BY_THE_ENGINE) or end.started_at is None:
        return False
    return (end.finished_at - end.started_at).total_seconds() >= step.timeoutSeconds


def _over(limit: Limit, step: Step) -> Failure:
    match limit:
        case Limit.TIME:
            return _user("timed_out", f"It ran longer than its {step.timeoutSeconds} s.")
        case Limit.STORAGE:
            allowed = step.resources.ephemeralStorage
            return _user("storage_exceeded", f"It wrote more than its {allowed} of storage.")


def _user(code: str, message: str) -> Failure:
    return Failure(failure_class=FailureClass.USER, code=code, message=message)


def _platform(code: str, message: str) -> Failure:
    return Failure(failure_class=FailureClass.PLATFORM, code=code, message=message)
