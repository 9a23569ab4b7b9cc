"""What the command line's exit code says. One table; docs/cli-and-usage.md and a test hold it."""

from __future__ import annotations

from enum import IntEnum

from animus_sdk.errors import (
    AnimusError,
    ApiError,
    FileUnfit,
    NotSignedIn,
    SettingsUnfit,
    Unreachable,
)
from animus_sdk.resources.references import UnknownReference
from animus_sdk.source import SourceError


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    """Refused or failed for a reason that has no code of its own; the message says which."""
    USAGE = 2
    """What was asked for cannot be: an option, a file, a name."""
    WAITS_FOR_APPROVAL = 3
    DENIED = 4
    """By a policy, or by a person who decided."""
    RUN_FAILED = 5
    CANCELED = 6
    """Or expired."""
    NOT_ALLOWED = 7
    """Not signed in, or without the role that this needs."""
    PLAN_CHANGED = 8
    """Since it was previewed, or shown for approval."""
    TRY_AGAIN = 75
    INTERRUPTED = 130
    NOBODY_READS = 141
    """Whoever read what is written has gone, as 'head' does. So end programs that SIGPIPE ends."""


_PLAN_CODES = frozenset(
    {"plan_digest_mismatch", "plan_drift", "plan_changed", "review_stale", "review_mismatch"}
)
_DENIED_CODES = frozenset({"policy_denied", "not_promotable"})
_OF_THE_DISK = frozenset({"cannot_write", "disk_full"})
_OF_WHAT_WAS_SAID = (SettingsUnfit, FileUnfit, SourceError, UnknownReference)
_BY_STATE = {
    "succeeded": ExitCode.DONE,
    "failed": ExitCode.RUN_FAILED,
    "rejected": ExitCode.DENIED,
    "canceled": ExitCode.CANCELED,
    "expired": ExitCode.CANCELED,
    "awaiting_approval": ExitCode.WAITS_FOR_APPROVAL,
}


def code_of_error(error: AnimusError) -> ExitCode:
    if error.code in _PLAN_CODES:
        return ExitCode.PLAN_CHANGED
    if isinstance(error, NotSignedIn):
        return ExitCode.NOT_ALLOWED
    if isinstance(error, ApiError):
        return _code_of_refusal(error)
    if isinstance(error, Unreachable):
        return ExitCode.TRY_AGAIN if error.retryable else ExitCode.FAILED
    if error.code in _DENIED_CODES:
        return ExitCode.DENIED
    if error.code == "interrupted":
        return ExitCode.INTERRUPTED
    if error.code == "usage":
        return ExitCode.USAGE
    if isinstance(error, _OF_WHAT_WAS_SAID) and error.code not in _OF_THE_DISK:
        return ExitCode.USAGE
    return ExitCode.FAILED


def code_of_run(state: str, failure_code: str | None) -> ExitCode:
    """For a run in this state; one that still moves has done nothing wrong."""
    if failure_code in _PLAN_CODES:
        return ExitCode.PLAN_CHANGED
    return _BY_STATE.get(state, ExitCode.DONE)


def _code_of_refusal(error: ApiError) -> ExitCode:
    if error.retryable:
        return ExitCode.TRY_AGAIN
    if error.status in (401, 403):
        return ExitCode.NOT_ALLOWED
    if error.status in (400, 404, 413, 422):
        return ExitCode.USAGE
    return ExitCode.FAILED
