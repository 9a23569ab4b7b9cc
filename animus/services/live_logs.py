"""Logs while they are written: places for an agent's chunks, where a log stands, and the sweep.

Lines go from the agent to the store and from there to who reads them; nothing of them is kept in
the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from animus.domain.errors import NotFound
from animus.domain.ids import ArtifactId, AttemptId, ProjectId, RunId
from animus.domain.log_chunks import LogChunk
from animus.ports import LogChunks, PresignedPut
from animus.services.calls import Call
from animus.services.runs import get_row
from animus.store import execution
from animus.store.database import Database, ReadSession

CHUNK_URL_LIFE = timedelta(minutes=2)
KEPT_WITHOUT_STORED_LOG = timedelta(days=7)
"""Counted from when the attempt was opened: its live log is all that there is of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEnd:
    """How far the live log of an attempt has come."""

    attempt_id: AttemptId
    chunks: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedChunk:
    attempt_id: AttemptId
    chunk: LogChunk
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlace:
    attempt_id: AttemptId
    put: PresignedPut


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLog:
    artifact_id: ArtifactId
    sha256: bytes
    size: int
    version_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    has_ended: bool
    """Nothing is added any more: what is there now is all that comes."""
    stored: StoredLog | None


async def list_own(
    session: ReadSession, call: Call, attempt_ids: Iterable[UUID]
) -> Sequence[AttemptId]:
    """Those of them that the agent itself has claimed, and that are open: no other's log is its."""
    own = await execution.find_claimed_and_open(session, call.by.principal_id, list(attempt_ids))
    return [AttemptId(each) for each in sorted(own)]


async def find_ends(own: Sequence[AttemptId], chunks: LogChunks) -> Sequence[LogEnd]:
    return [await _find_end(attempt_id, chunks) for attempt_id in own]


async def place_chunks(
    session: ReadSession, call: Call, wanted: Sequence[WantedChunk], chunks: LogChunks
) -> Sequence[ChunkPlace]:
    """Presigned PUTs; left out are those of attempts that are not the agent's, or not open."""
    own = set(await list_own(session, call, (each.attempt_id for each in wanted)))
    return [
        ChunkPlace(
            attempt_id=each.attempt_id,
            put=chunks.presign_put(
                each.attempt_id, each.chunk, each.sha256, expires=CHUNK_URL_LIFE
            ),
        )
        for each in wanted
        if each.attempt_id in own
    ]


async def get_attempt_id(
    session: ReadSession, project_id: ProjectId, run_id: RunId, *, step: str, number: int
) -> AttemptId:
    """Raises `NotFound` for a run, or an attempt, that there is not (yet)."""
    await get_row(session, project_id, run_id)
    found = await execution.find_attempt(session, project_id, run_id, step=step, number=number)
    if found is None:
        raise NotFound("attempt", f"{step}/{number}")
    return AttemptId(found.id)


async def get_state(session: ReadSession, project_id: ProjectId, attempt_id: AttemptId) -> LogState:
    record = await execution.get_log_record(session, project_id, attempt_id)
    stored = None
    if record.artifact_id is not None:
        stored = StoredLog(
            artifact_id=ArtifactId(record.artifact_id),
            sha256=record.sha256,
            size=record.size,
            version_id=record.version_id,
        )
    return LogState(has_ended=record.has_ended, stored=stored)


async def sweep(database: Database, chunks: LogChunks, *, now: datetime) -> int:
    """Remove the live logs that nobody needs any more; how many. Safe to repeat and to interrupt.

    Whoever still reads one goes on in the stored log, which begins with the same bytes.
    """
    there = await chunks.list_attempts()
    if not there:
        return 0
    async with database.read() as session:
        spent = await execution.find_with_spent_live_logs(
            session, there, opened_before=now - KEPT_WITHOUT_STORED_LOG
        )
    for attempt_id in sorted(spent):
        await chunks.remove(AttemptId(attempt_id))
    return len(spent)


async def _find_end(attempt_id: AttemptId, chunks: LogChunks) -> LogEnd:
    count = offset = 0
    while page := await chunks.list_chunks(attempt_id, since=offset):
        lines = [chunk for chunk in page if chunk.size and not chunk.is_full]
        if not lines:
            break
        count += len(lines)
        offset = lines[-1].end
    return LogEnd(attempt_id=attempt_id, chunks=count, offset=offset)
