"""What a watch says, whole and broken off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from animus.adapters.kubernetes.clients import ClusterUnavailable, ListExpired
from animus.adapters.kubernetes.watching import changes_of


class Chunks:
    """A stream that says this and ends."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    def stream(self, _amt: int | None, _decode: bool) -> Iterator[bytes]:
        yield from self._chunks

    def shutdown(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""


def test_changes_are_read_however_they_are_cut_into_pieces() -> None:
    said = [b'{"type":"ADDED","obj', b'ect":{}}\n{"type":"DELETED","object":{}}', b"\n"]
    assert [change["type"] for change in changes_of(Chunks(*said))] == ["ADDED", "DELETED"]


def test_a_watch_that_ends_within_a_line_has_broken_off() -> None:
    changes = changes_of(Chunks(b'{"type":"ADDED","object":{}}\n{"type":"MODI'))
    assert next(changes)["type"] == "ADDED"
    with pytest.raises(ClusterUnavailable):
        next(changes)


def test_a_watch_that_has_expired_says_so() -> None:
    with pytest.raises(ListExpired):
        list(changes_of(Chunks(b'{"type":"ERROR","object":{"code":410}}\n')))
