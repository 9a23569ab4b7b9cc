"""What streams of server-sent events share: their answer, and rights that are checked again."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse

from animus.domain.access import Permission, check_permission
from animus.domain.errors import AnimusError
from animus.domain.ids import ProjectId
from animus.services.principals import authenticate
from api.context import Context

PING = ": ping\n\n"


def event_stream(messages: AsyncIterator[str]) -> StreamingResponse:
    """An error after the beginning has no status left: it is the last event."""
    return StreamingResponse(
        _told(messages),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


class StreamRights:
    """A stream outlives its first check: whoever lost the role gets no more of it."""

    def __init__(self, context: Context, *, token: str, project_id: ProjectId) -> None:
        self._context = context
        self._token = token
        self._project_id = project_id
        self._checked = time.monotonic()

    async def check(self, *, every: float) -> None:
        if time.monotonic() - self._checked < every:
            return
        self._checked = time.monotonic()
        actor = await authenticate(
            self._context.database,
            self._token,
            project_id=self._project_id,
            now=self._context.now(),
        )
        check_permission(actor, Permission.READ)


async def _told(messages: AsyncIterator[str]) -> AsyncIterator[str]:
    try:
        async for message in messages:
            yield message
    except AnimusError as error:
        yield f'event: error\ndata: {{"code": "{error.code}"}}\n\n'
