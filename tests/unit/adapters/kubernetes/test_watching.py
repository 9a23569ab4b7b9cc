"""What a watch says, whole and broken off."""

from __future__ import annotations

import pytest

from animus.adapters.kubernetes.errors import ClusterUnavailable, ListExpired
from animus.adapters.kubernetes.watching import changes_of
from tests.unit.adapters.kubernetes.streams import Chunks


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
