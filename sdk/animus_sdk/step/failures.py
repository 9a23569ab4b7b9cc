"""Why fetch or collect failed, in the five classes of the control plane, without private detail.

Names of a user's files go to standard error only: failures travel further than the files may.
"""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from typing import Literal

from animus_sdk.errors import AnimusError, ApiError
from animus_sdk.printable import printable

FailureClass = Literal["user", "data", "environment", "platform"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    failure_class: FailureClass
    code: str
    message: str

    def document(self) -> dict[str, str]:
        return {"class": self.failure_class, "code": self.code, "message": self.message}


class StepFailed(Exception):
    """Ends fetch or collect with this failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def platform(error: BaseException) -> Failure:
    """A failure that is nobody's but ours."""
    if isinstance(error, ApiError):
        message = f"The gateway refused: {error.code} ({error.status})."
        return Failure(failure_class="platform", code=error.code, message=message)
    if isinstance(error, AnimusError):
        return Failure(failure_class="platform", code=error.code, message=error.message)
    message = f"Unexpected: {type(error).__name__}. The agent's log has more."
    return Failure(failure_class="platform", code="internal", message=message)


def tell(text: str) -> None:
    """A line for the agent's log."""
    sys.stderr.write(printable(text) + "\n")


def tell_where(error: BaseException) -> None:
    """Where an unexpected error came from; not its text, which may hold a URL."""
    tell(type(error).__name__)
    traceback.print_tb(error.__traceback__)
