"""What a transfer tells while it goes on; a command line draws a bar from it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """May be called from several threads."""

    def begin(self, total_bytes: int) -> None: ...

    def advance(self, size: int) -> None:
        """`size` bytes more; less than 0 where something begins again."""


class Silent:
    def begin(self, total_bytes: int) -> None:
        return

    def advance(self, size: int) -> None:
        return
