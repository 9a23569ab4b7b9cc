"""Chunks of live logs on their way: places by the api, bytes straight to the store."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Mapping, Sequence
from functools import lru_cache
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from animus.adapters.gateway import Gateway
from animus.agent.live_logs import Put, ReadyChunk, WrittenSoFar
from animus.domain.digests import Digest, format_digest
from animus.domain.errors import Unavailable
from animus.domain.ids import AttemptId

ENDS_PATH = "/api/v1/agent/live-logs:ends"
PLACE_PATH = "/api/v1/agent/live-logs:place"
PATIENCE = 10.0
"""Seconds for one chunk."""
AT_ONCE = 8

_PUTS: Mapping[int, Put] = {
    httpx.codes.OK: Put.STORED,
    httpx.codes.PRECONDITION_FAILED: Put.TAKEN,
}


class _End(BaseModel):
    model_config = ConfigDict(extra="ignore")

    attempt_id: UUID
    chunks: int
    offset: int


class _Ends(BaseModel):
    model_config = ConfigDict(extra="ignore")

    ends: tuple[_End, ...]


class _Place(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    attempt_id: UUID
    url: str
    headers: dict[str, str]


class _Places(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    places: tuple[_Place, ...]


class ChunkUploads:
    """Implements `animus.agent.live_logs.ChunkSink`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def find_ends(
        self, attempt_ids: Sequence[AttemptId], /
    ) -> Mapping[AttemptId, WrittenSoFar]:
        asked = {"attempt_ids": [str(each) for each in attempt_ids]}
        content = await self._gateway.ask_as_agent(ENDS_PATH, asked)
        try:
            ends = _Ends.model_validate_json(content).ends
        except ValidationError:
            raise Unavailable("The api's answer about live logs can't be read.") from None
        return {
            AttemptId(end.attempt_id): WrittenSoFar(chunks=end.chunks, offset=end.offset)
            for end in ends
        }

    async def put(self, ready: Sequence[ReadyChunk], /) -> Mapping[AttemptId, Put]:
        places = await self._places(ready)
        wanted = [each for each in ready if each.attempt_id in places]
        limit = asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(
            timeout=PATIENCE, trust_env=False, verify=_authorities()
        ) as store:

            async def one(each: ReadyChunk) -> Put:
                async with limit:
                    return await _put(store, places[each.attempt_id], each.content)

            puts = await asyncio.gather(*(one(each) for each in wanted))
        return {each.attempt_id: put for each, put in zip(wanted, puts, strict=True)}

    async def _places(self, ready: Sequence[ReadyChunk]) -> Mapping[AttemptId, _Place]:
        asked = {"chunks": [_described(each) for each in ready]}
        content = await self._gateway.ask_as_agent(PLACE_PATH, asked)
        try:
            places = _Places.model_validate_json(content).places
        except ValidationError:
            raise Unavailable("The api's answer about live logs can't be read.") from None
        return {AttemptId(place.attempt_id): place for place in places}


def _described(ready: ReadyChunk) -> dict[str, object]:
    return {
        "attempt_id": str(ready.attempt_id),
        "offset": ready.chunk.offset,
        "size": ready.chunk.size,
        "sha256": format_digest(Digest(hashlib.sha256(ready.content).digest())),
        "is_full": ready.chunk.is_full,
    }


@lru_cache(maxsize=1)
def _authorities() -> ssl.SSLContext:
    """Read once: it takes longer than to hand on a chunk."""
    return ssl.create_default_context()


async def _put(store: httpx.AsyncClient, place: _Place, content: bytes) -> Put:
    try:
        answer = await store.put(place.url, headers=place.headers, content=content)
    except httpx.RequestError:
        return Put.FAILED  # also where an answer can't be read
    return _PUTS.get(answer.status_code, Put.FAILED)
