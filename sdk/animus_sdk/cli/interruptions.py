"""Ctrl+C: what stands, and what may be done next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from animus_sdk.errors import AnimusError

INTERRUPTED = "Interrupted."
"""Where nothing stands that could be lost."""
UPLOAD_INTERRUPTED = (
    "Interrupted. Half of it is never seen by anybody; the same command goes on where this one"
    " stopped."
)

DOWNLOAD_INTERRUPTED = (
    "Interrupted: what has a name here is whole. The same command gets the files that are not here."
)


class Interrupted(AnimusError):
    default_code = "interrupted"

    def __init__(self, *said: str) -> None:
        super().__init__(" ".join(said))
        self.said = said
        """A line each."""


@contextmanager
def if_interrupted(*said: str) -> Iterator[None]:
    """What to say where Ctrl+C ends what is inside."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(*said) from None
