"""Which failures of an activity are tried again: the one place that says so.

Codes and ids only leave the process; messages may hold private detail and stay in the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from animus.domain.errors import AnimusError

_log = structlog.get_logger()


@contextmanager
def translated() -> Iterator[None]:
    """A known error becomes an ApplicationError of its code; a bug is retried until mended.

    A process that shuts down hands its work on: the activity neither failed nor was canceled.
    """
    try:
        yield
    except AnimusError as error:
        _log.warning("activity_refused", code=error.code, detail=error.detail or error.message)
        raise ApplicationError(
            error.code, type=error.code, non_retryable=not error.retryable
        ) from None
    except asyncio.CancelledError:
        if activity.is_worker_shutdown():
            raise ApplicationError("worker_stopped", type="worker_stopped") from None
        raise
