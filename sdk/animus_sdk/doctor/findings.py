"""What an examination finds. No finding holds a token or a presigned URL."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    OK = "ok"
    NOTE = "note"
    """Works; but somebody should know."""
    FAULT = "fault"
    SKIPPED = "skipped"
    """Could not be tried, mostly because of a fault above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    check: str
    state: State
    said: str
    todo: str = ""

    def document(self) -> dict[str, str]:
        return {
            "check": self.check,
            "state": self.state.value,
            "said": self.said,
            "todo": self.todo,
        }


def ok(check: str, said: str) -> Finding:
    return Finding(check=check, state=State.OK, said=said)


def note(check: str, said: str, *, todo: str = "") -> Finding:
    return Finding(check=check, state=State.NOTE, said=said, todo=todo)


def fault(check: str, said: str, *, todo: str) -> Finding:
    return Finding(check=check, state=State.FAULT, said=said, todo=todo)


def skipped(check: str, said: str) -> Finding:
    return Finding(check=check, state=State.SKIPPED, said=said)
