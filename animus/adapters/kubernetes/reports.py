"""What the containers of a pod say in their termination messages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from animus.domain.canonical import MAX_SAFE_INTEGER

IN_LOG = '{"in":"log"}'
LOG_PREFIX = b"animus-report "
MAX_REPORT_LOG = 16 * 1024**2

_Amount = Annotated[int, Field(ge=0, le=MAX_SAFE_INTEGER)]
"""More can't be signed, and where the launcher was killed it is user code that says it."""


class LaunchReport(BaseModel):
    """Of the launcher, which is main's first process: how the command ended and what it took."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    ended: Literal["exited", "signaled", "timed_out", "not_started"]
    cpu_milliseconds: _Amount | None = None
    peak_memory_bytes: _Amount | None = None

    @property
    def has_timed_out(self) -> bool:
        return self.ended == "timed_out"


def read_launch(said: str) -> LaunchReport | None:
    """None where the launcher said nothing: it was killed, or user code wrote there last."""
    try:
        return LaunchReport.model_validate_json(said)
    except ValidationError:
        return None


def report_in(log: bytes | None) -> bytes | None:
    """The last report in the log of fetch or collect."""
    lines = [line for line in (log or b"").splitlines() if line.startswith(LOG_PREFIX)]
    return lines[-1].removeprefix(LOG_PREFIX) if lines else None
