"""An attempt's log as it is written: server-sent, by its bytes, resumable, rights re-checked."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse

from animus.domain.ids import AttemptId, ProjectId, RunId
from animus.domain.log_chunks import MAX_CHUNK_BYTES, LogChunk
from animus.services import live_logs
from animus.services.live_logs import LogState, StoredLog
from api.callers import Reader, bearer
from api.context import Context, context_of
from api.event_streams import PING, StreamRights, event_stream
from api.requests import StrictRoute
from api.schemas.fields import AttemptNumber, StepName

POLL_SECONDS = 1.0
QUIET_POLL_SECONDS = 3.0
"""Where nothing has come for a while: most steps say nothing most of the time."""
QUIET_AFTER_SECONDS = 30.0
PING_SECONDS = 15.0
RIGHTS_SECONDS = 10.0
PART_BYTES = 256 * 1024
"""Of a stored log in one event, unless one line has more: no log is ever held whole."""
MAX_OFFSET = 2**53 - 1

_LINE_ENDS = re.compile("[\x0b-\x0d\x1c-\x1e\x85\u2028\u2029]")
"""No stored line has one; should a chunk have one all the same, it must not end an event."""

router = APIRouter(prefix="/projects/{project_id}", tags=["runs"], route_class=StrictRoute)


@router.get("/runs/{run_id}/steps/{step}/attempts/{number}/log")
async def stream_attempt_log(
    _: Reader,
    request: Request,
    project_id: UUID,
    run_id: UUID,
    step: StepName,
    number: AttemptNumber,
    follow: bool = True,
    last_event_id: Annotated[int, Header(ge=0, le=MAX_OFFSET)] = 0,
) -> StreamingResponse:
    """`lines`: whole lines, and as `id` where the log goes on: send it back as `Last-Event-ID`.

    `missed` says how many bytes are not shown, `full` that what follows is shown once the attempt
    has ended. `end` is the last: the log is complete where it says so.
    """
    context, project = context_of(request), ProjectId(project_id)
    async with context.database.read() as session:
        attempt_id = await live_logs.get_attempt_id(
            session, project, RunId(run_id), step=step, number=number
        )
    rights = StreamRights(context, token=bearer(request), project_id=project)
    stream = _Stream(context, project, attempt_id, rights=rights, position=last_event_id)
    return event_stream(stream.messages(follow=follow))


class _Stream:
    def __init__(
        self,
        context: Context,
        project_id: ProjectId,
        attempt_id: AttemptId,
        *,
        rights: StreamRights,
        position: int,
    ) -> None:
        self._context = context
        self._project_id = project_id
        self._attempt_id = attempt_id
        self._rights = rights
        self._position = position
        self._is_full = False
        self._said = self._heard = time.monotonic()

    async def messages(self, *, follow: bool) -> AsyncIterator[str]:
        while True:
            state, before = await self._state(), self._position
            source = self._stored(state.stored) if state.stored is not None else self._live()
            async for message in source:
                self._said = self._heard = time.monotonic()
                yield message
                await self._rights.check(every=RIGHTS_SECONDS)
            if state.stored is not None or (
                self._position == before and (state.has_ended or not follow)
            ):
                yield _end(state)
                return
            if follow:
                if time.monotonic() - self._said > PING_SECONDS:
                    self._said = time.monotonic()
                    yield PING
                await asyncio.sleep(self._pause())
            await self._rights.check(every=RIGHTS_SECONDS)

    async def _state(self) -> LogState:
        async with self._context.database.read() as session:
            return await live_logs.get_state(session, self._project_id, self._attempt_id)

    async def _live(self) -> AsyncIterator[str]:
        """What has come since; a chunk that is removed meanwhile is in the stored log."""
        chunks = self._context.store.log_chunks
        for chunk in await chunks.list_chunks(self._attempt_id, since=self._position):
            content = await self._content(chunk)
            if content is None:
                return
            for message in self._shown(chunk, content):
                yield message

    async def _content(self, chunk: LogChunk) -> bytes | None:
        if chunk.is_full:
            return b""
        return await self._context.store.log_chunks.find_content(self._attempt_id, chunk)

    def _shown(self, chunk: LogChunk, content: bytes) -> list[str]:
        said: list[str] = []
        if chunk.offset < self._position and not chunk.is_full:
            return said  # within what was shown: no chunk of ours lies there
        if chunk.offset > self._position:
            missed = {"bytes": chunk.offset - self._position}
            self._position = chunk.offset
            said.append(_message("missed", json.dumps(missed), position=self._position))
        if content:
            self._position += len(content)
            said.append(_lines(content, position=self._position))
        if chunk.is_full and not self._is_full:
            self._is_full = True
            said.append(_message("full", "{}"))
        return said

    async def _stored(self, log: StoredLog) -> AsyncIterator[str]:
        """The rest of it: it begins with what was shown."""
        size = PART_BYTES
        while self._position < log.size:
            part = await self._context.store.get_part(
                self._project_id,
                log.sha256,
                version_id=log.version_id,
                begin=self._position,
                size=min(size, log.size - self._position),
            )
            whole = part.rfind(b"\n") + 1
            is_within_line = not whole and self._position + len(part) < log.size
            if is_within_line and size < MAX_CHUNK_BYTES:
                size *= 2
                continue
            shown = part[:whole] if whole else part
            self._position += len(shown)
            size = PART_BYTES
            yield _lines(shown, position=self._position)

    def _pause(self) -> float:
        is_quiet = time.monotonic() - self._heard > QUIET_AFTER_SECONDS
        return QUIET_POLL_SECONDS if is_quiet else POLL_SECONDS


def _lines(content: bytes, *, position: int) -> str:
    text = content.removesuffix(b"\n").decode("utf-8", "backslashreplace")
    return _message("lines", *_LINE_ENDS.sub(_written_out, text).split("\n"), position=position)


def _written_out(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode()


def _end(state: LogState) -> str:
    """Complete: not a byte of the stored log is missing. Else it has not ended, or left none."""
    stored = str(state.stored.artifact_id) if state.stored is not None else None
    return _message("end", json.dumps({"complete": stored is not None, "artifact_id": stored}))


def _message(event: str, *data: str, position: int | None = None) -> str:
    place = f"id: {position}\n" if position is not None else ""
    return f"{place}event: {event}\n" + "".join(f"data: {line}\n" for line in data) + "\n"
