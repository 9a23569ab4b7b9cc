"""A run's events as they happen: server-sent, by dense index, resumable, rights re-checked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from animus.domain.ids import ProjectId, RunId
from animus.domain.runs import TERMINAL
from animus.services import audit_events, runs
from animus.services.audit_events import BEFORE_THE_FIRST, EventView
from animus.store.audit import EventFilter
from api.callers import Reader, bearer
from api.context import Context, context_of
from api.event_streams import PING, StreamRights, event_stream
from api.requests import StrictRoute
from api.schemas.runs import AuditEventOut

POLL_SECONDS = 0.5
PING_SECONDS = 15.0
RIGHTS_SECONDS = 10.0
BATCH = 200
MAX_INDEX = 2**63 - 1

router = APIRouter(prefix="/projects/{project_id}", tags=["runs"], route_class=StrictRoute)
Index = Annotated[int, Query(ge=BEFORE_THE_FIRST, le=MAX_INDEX)]


@router.get("/runs/{run_id}/events")
async def stream_run_events(
    _: Reader,
    request: Request,
    project_id: UUID,
    run_id: UUID,
    after: Index = BEFORE_THE_FIRST,
    follow: bool = True,
    last_event_id: Annotated[int | None, Header(ge=BEFORE_THE_FIRST, le=MAX_INDEX)] = None,
) -> StreamingResponse:
    """`id` is the dense index: send it back as `Last-Event-ID` and nothing is missed or repeated.

    Ends with `event: end` when the run has ended and every event of it was sent.
    """
    context = context_of(request)
    async with context.database.read() as session:
        await runs.get_row(session, ProjectId(project_id), RunId(run_id))
    start = after if last_event_id is None else last_event_id
    stream = _Stream(
        context=context,
        token=bearer(request),
        project_id=ProjectId(project_id),
        run_id=RunId(run_id),
        position=start,
    )
    return event_stream(stream.messages(follow=follow))


class _Stream:
    def __init__(
        self,
        *,
        context: Context,
        token: str,
        project_id: ProjectId,
        run_id: RunId,
        position: int,
    ) -> None:
        self._context = context
        self._project_id = project_id
        self._run_id = run_id
        self._position = position
        self._said = time.monotonic()
        self._rights = StreamRights(context, token=token, project_id=project_id)

    async def messages(self, *, follow: bool) -> AsyncIterator[str]:
        while True:
            events, ended = await self._read()
            for event in events:
                self._said = time.monotonic()
                self._position = event.index
                yield _message(event)
            if not events and (ended or not follow):
                yield "event: end\ndata: {}\n\n"
                return
            if not events:
                if time.monotonic() - self._said > PING_SECONDS:
                    self._said = time.monotonic()
                    yield PING
                await asyncio.sleep(POLL_SECONDS)
            await self._rights.check(every=RIGHTS_SECONDS)

    async def _read(self) -> tuple[list[EventView], bool]:
        """The next events, and whether the run had ended before they were read."""
        wanted = EventFilter(project_id=self._project_id, run_id=self._run_id)
        async with self._context.database.read() as session:
            run = await runs.get_row(session, self._project_id, self._run_id)
            settled = run.state in TERMINAL and not await audit_events.is_behind(
                session, self._run_id
            )
            events = await audit_events.list_events(
                session, wanted, after=self._position, limit=BATCH
            )
        return list(events), settled


def _message(event: EventView) -> str:
    data = AuditEventOut.model_validate(event).model_dump_json()
    return f"id: {event.index}\nevent: {event.action}\ndata: {data}\n\n"
