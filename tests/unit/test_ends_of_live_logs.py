"""How far a live log has come, by what is in the bucket: also by what nobody of us put there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

import pytest

from animus.domain.ids import AttemptId
from animus.domain.log_chunks import LogChunk
from animus.ports import LogChunks, PresignedPut
from animus.services.live_logs import LogEnd, find_ends


class Bucket(LogChunks):
    """What is listed of one attempt."""

    def __init__(self, *there: LogChunk) -> None:
        self._there = there

    async def list_chunks(self, attempt_id: AttemptId, *, since: int) -> Sequence[LogChunk]:
        return [chunk for chunk in self._there if chunk.offset >= since]

    def presign_put(
        self, attempt_id: AttemptId, chunk: LogChunk, sha256: bytes, *, expires: timedelta
    ) -> PresignedPut:
        raise NotImplementedError

    async def find_content(self, attempt_id: AttemptId, chunk: LogChunk) -> bytes | None:
        raise NotImplementedError

    async def list_attempts(self) -> Sequence[AttemptId]:
        raise NotImplementedError

    async def remove(self, attempt_id: AttemptId) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    "planted", [LogChunk(offset=3, size=0), LogChunk(offset=3, size=0, is_full=True)]
)
async def test_an_empty_object_is_not_counted_for_ever(planted: LogChunk) -> None:
    attempt = AttemptId(uuid4())
    bucket = Bucket(LogChunk(offset=0, size=3), planted)
    assert await find_ends([attempt], bucket) == [LogEnd(attempt_id=attempt, chunks=1, offset=3)]
