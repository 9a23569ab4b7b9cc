"""Bodies and views of live logs, as agents write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from animus.domain.log_chunks import MAX_CHUNK_BYTES, head_bytes
from animus.services.claims import MAX_LOG_BYTES
from animus.services.live_logs import ChunkPlace
from api.schemas.fields import Body, DigestIn, View

MAX_AT_ONCE = 100
_Offset = Annotated[int, Field(ge=0, le=head_bytes(MAX_LOG_BYTES), strict=True)]


class FindLogEnds(Body):
    attempt_ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_AT_ONCE)]


class LogEndOut(View):
    attempt_id: UUID
    chunks: int
    offset: int


class LogEndsOut(View):
    ends: list[LogEndOut]


class WantedChunkIn(Body):
    attempt_id: UUID
    offset: _Offset
    size: Annotated[int, Field(ge=0, le=MAX_CHUNK_BYTES, strict=True)]
    sha256: DigestIn
    is_full: bool = False
    """The mark after the last chunk, without lines."""

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if self.is_full != (self.size == 0):
            raise ValueError("A chunk has lines; only the mark after the last one has none.")
        if self.offset + self.size > head_bytes(MAX_LOG_BYTES):
            raise ValueError("A live log is the beginning of the log, and ends before this.")
        return self


class PlaceLogChunks(Body):
    chunks: Annotated[list[WantedChunkIn], Field(min_length=1, max_length=MAX_AT_ONCE)]


class ChunkPlaceOut(View):
    """A presigned PUT. Send exactly these headers and this content; the URL works once."""

    attempt_id: UUID
    url: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, place: ChunkPlace) -> ChunkPlaceOut:
        return cls(attempt_id=place.attempt_id, url=place.put.url, headers=place.put.headers)


class ChunkPlacesOut(View):
    places: list[ChunkPlaceOut]
