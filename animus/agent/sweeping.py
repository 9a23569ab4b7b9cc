"""Keeping house: what earlier agents, crashes and closed attempts have left on this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta

import structlog

from animus.agent.journals import AttemptJournal, Fact, Journals
from animus.domain.ids import AttemptId
from animus.ports import Executor, StillThere

KEEP_CLOSED = timedelta(days=7)
"""How long an answer is kept after it was given, for whoever could not hear it: without it the
attempt, although it ended, would count as lost."""
AFTER_EXPIRY = timedelta(hours=1)
"""An order that expired this long ago is not coming back."""

_log = structlog.get_logger()


async def sweep(
    journals: Journals,
    executor: Executor,
    *,
    now: datetime,
    is_busy: Callable[[AttemptId], bool],
    is_open: Callable[[AttemptId], bool],
    announce: Callable[[str], Awaitable[None]],
) -> list[str]:
    """Remove what no open attempt needs; log what it was, and return it.

    What ran or runs is announced first; the agent's own files are its own affair.
    """

    def is_known(attempt_id: AttemptId) -> bool:
        return is_busy(attempt_id) or is_open(attempt_id)

    removed = list(await executor.sweep(is_known, announce))
    for attempt_id in _idle(journals, is_known):
        journal = journals.open(attempt_id)
        if any(journal.other_files()) and await _is_cleared(executor, attempt_id):
            removed.append(f"files of attempt {attempt_id}")
        if _is_old(journal, now):
            journal.forget()
            removed.append(f"journal of attempt {attempt_id}")
    for what in removed:
        _log.info("swept", removed=what)
    return removed


async def _is_cleared(executor: Executor, attempt_id: AttemptId) -> bool:
    try:
        await executor.clear(attempt_id)
    except StillThere as error:
        _log.warning("not_swept", attempt=str(attempt_id), detail=error.message)
        return False
    return True


def _idle(journals: Journals, is_known: Callable[[AttemptId], bool]) -> Iterator[AttemptId]:
    for attempt_id in list(journals.attempts()):
        if not is_known(attempt_id):
            yield attempt_id


def may_be_asked_for(journal: AttemptJournal, now: datetime) -> bool:
    """Whether somebody may still ask for its execution."""
    if journal.find(Fact.RESULT) is not None or journal.find(Fact.STOPPED) is not None:
        return False
    received = journal.find(Fact.RECEIVED)
    if received is None:
        return False
    return now <= datetime.fromisoformat(received["not_after"]) + AFTER_EXPIRY


def _is_old(journal: AttemptJournal, now: datetime) -> bool:
    changed = datetime.fromtimestamp(journal.changed_at(), tz=now.tzinfo)
    return now - changed > KEEP_CLOSED
