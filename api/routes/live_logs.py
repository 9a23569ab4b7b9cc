"""An agent hands on what a running step writes: places for chunks, and how far there are any."""

from __future__ import annotations

from fastapi import APIRouter, Request

from animus.domain.ids import AttemptId
from animus.domain.log_chunks import LogChunk
from animus.services import live_logs
from animus.services.live_logs import WantedChunk
from api.callers import Agent
from api.context import context_of
from api.requests import StrictRoute
from api.schemas.live_logs import (
    ChunkPlaceOut,
    ChunkPlacesOut,
    FindLogEnds,
    LogEndOut,
    LogEndsOut,
    PlaceLogChunks,
    WantedChunkIn,
)

router = APIRouter(tags=["execution"], route_class=StrictRoute)


@router.post("/agent/live-logs:ends")
async def find_log_ends(call: Agent, request: Request, body: FindLogEnds) -> LogEndsOut:
    """How far the live logs of these attempts have come. Left out: those not the agent's, or over.

    An agent that adopts an attempt goes on from there.
    """
    context = context_of(request)
    async with context.database.read() as session:
        own = await live_logs.list_own(session, call, body.attempt_ids)
    ends = await live_logs.find_ends(own, context.store.log_chunks)
    return LogEndsOut(ends=[LogEndOut.model_validate(end) for end in ends])


@router.post("/agent/live-logs:place")
async def place_log_chunks(call: Agent, request: Request, body: PlaceLogChunks) -> ChunkPlacesOut:
    """Where to put these chunks, for two minutes. Left out: attempts not the agent's, or over."""
    context = context_of(request)
    wanted = [_wanted(each) for each in body.chunks]
    async with context.database.read() as session:
        places = await live_logs.place_chunks(session, call, wanted, context.store.log_chunks)
    return ChunkPlacesOut(places=[ChunkPlaceOut.of(place) for place in places])


def _wanted(said: WantedChunkIn) -> WantedChunk:
    return WantedChunk(
        attempt_id=AttemptId(said.attempt_id),
        chunk=LogChunk(offset=said.offset, size=said.size, is_full=said.is_full),
        sha256=said.sha256,
    )
