"""Streams of an api server that say what a test says."""

from __future__ import annotations

from collections.abc import Iterator


class Chunks:
    """Says this and ends."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    def stream(self, _amt: int | None, _decode: bool) -> Iterator[bytes]:
        yield from self._chunks

    def shutdown(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""
