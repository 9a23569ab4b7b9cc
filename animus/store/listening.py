"""Waiting for NOTIFY: a connection of its own that wakes whoever polls. Polling stays the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import psycopg
import structlog
from psycopg import sql

RECONNECT_SECONDS = 2.0
_log = structlog.get_logger()


async def listen(url: str, events: Mapping[str, asyncio.Event]) -> None:
    """Set the event of a channel whenever it is notified, and once after every (re)connect."""
    while True:
        try:
            connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
            async with connection:
                for channel, event in events.items():
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                    event.set()
                async for notification in connection.notifies():
                    events[notification.channel].set()
        except psycopg.OperationalError as error:
            _log.warning("listening_interrupted", detail=str(error))
        await asyncio.sleep(RECONNECT_SECONDS)
