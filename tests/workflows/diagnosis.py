"""What a failed test on the platform leaves to look at: a stopped worker, a task that hangs."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Iterator
from types import CodeType

import psycopg

from tests.workflows.platforms import Platform

LAST_LINES = 6
LONGEST_LINE = 220
MOST_TASKS = 25
_OUTBOX = "SELECT count(*), min(seq)::text, now()::text FROM outbox"
_BUSY = """
    SELECT pid, state, wait_event_type, wait_event, now() - xact_start, left(query, 80)
      FROM pg_stat_activity
     WHERE xact_start < now() - interval '2 seconds' AND pid <> pg_backend_pid()
"""


def diagnose(platform: Platform) -> str:
    """Runs beside a stopped event loop: it asks nobody who would have to answer in it."""
    return "\n".join(line[:LONGEST_LINE] for line in _lines(platform))


def _lines(platform: Platform) -> Iterator[str]:
    yield from platform.control.roles()
    for service in platform.stack.status():
        yield f"{service.name}: {service.state.name} {service.reason or ''}"
    yield from _database(platform)
    yield from _tasks(platform.control.loop)
    log = platform.stack.layout.log("temporal").read_text(errors="replace")
    yield from log.splitlines()[-LAST_LINES:]


def _database(platform: Platform) -> Iterator[str]:
    site = platform.stack.site
    try:
        with psycopg.connect(site.addresses.superuser_url(site.credentials)) as connection:
            for statement in (_OUTBOX, _BUSY):
                for row in connection.execute(statement.encode()):
                    yield f"database: {row}"
    except psycopg.Error as error:
        yield f"database: {error}"


def _tasks(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    """Where each task of the process waits, and how many wait there."""
    waiting = Counter(_innermost(task) for task in asyncio.all_tasks(loop))
    for place, number in waiting.most_common(MOST_TASKS):
        yield f"{number} × {place}"


def _innermost(task: asyncio.Task[object]) -> str:
    """From the task's own coroutine down to the one that awaits what has not happened yet."""
    awaited: object = task.get_coro()
    named: list[str] = []
    while inspect.iscoroutine(awaited):
        frame, code = awaited.cr_frame, awaited.cr_code
        named.append(_place(code, frame.f_lineno if frame else 0))
        awaited = awaited.cr_await
    return " > ".join(named[:2] + named[2:][-3:])


def _place(code: CodeType, line: int) -> str:
    return f"{code.co_filename.rsplit('/', 1)[-1]}:{line} {code.co_name}"
