"""Figures of the installation's notifications, without names: what is owed, how the rest ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from animus.store.database import ReadSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How many, by kind, channel and outcome."""

    kept: Mapping[tuple[str, str, str], int]
    """Until the moment up to which they need not be counted again."""
    newer: Mapping[tuple[str, str, str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    owed: float
    oldest_seconds: float
    """For how long the oldest has been owed."""
    put_off: Mapping[tuple[str, str], float]
    """By kind and channel: could not be sent yet, and is tried again."""
    settled: Ended
    tries: Ended
    until: datetime


async def count_figures(session: ReadSession, *, after: datetime) -> Figures:
    """Of what has ended, only what ended after that moment."""
    # lint-skip: project-scope: figures of the installation, without names
    ((until,),) = await session.fetch(_UNTIL)
    async with session.together() as asked:
        owed = await asked.fetch(_OWED)
        put_off = await asked.fetch(_PUT_OFF)
        settled = await asked.fetch(_SETTLED, until, after)
        tries = await asked.fetch(_TRIES, until, after)
    ((count, seconds),) = owed.value
    return Figures(
        owed=float(count),
        oldest_seconds=max(0.0, float(seconds)),
        put_off={(kind, channel): float(many) for kind, channel, many in put_off.value},
        settled=_ended(settled.value),
        tries=_ended(tries.value),
        until=max(until, after),
    )


def _ended(rows: list[tuple[str, str, str, int, int]]) -> Ended:
    return Ended(
        kept={(kind, channel, how): kept for kind, channel, how, kept, _ in rows},
        newer={(kind, channel, how): newer for kind, channel, how, _, newer in rows},
    )


_UNTIL: LiteralString = "SELECT statement_timestamp() - interval '1 hour'"
"""No transaction that settles something is open for longer."""
_OWED: LiteralString = """
SELECT count(*), coalesce(extract(epoch FROM statement_timestamp() - min(created_at)), 0)
  FROM notifications WHERE settled_at IS NULL
"""
_PUT_OFF: LiteralString = """
SELECT kind, channel, count(*) FROM notifications
 WHERE settled_at IS NULL AND code IS NOT NULL GROUP BY kind, channel
"""
_SETTLED: LiteralString = """
SELECT kind, channel, outcome, count(*) FILTER (WHERE settled_at <= moment),
       count(*) FILTER (WHERE settled_at > moment)
  FROM notifications, (SELECT %s::timestamptz AS moment) AS given
 WHERE settled_at > %s GROUP BY kind, channel, outcome
"""
_TRIES: LiteralString = """
SELECT n.kind, n.channel, t.outcome, count(*) FILTER (WHERE t.ended_at <= moment),
       count(*) FILTER (WHERE t.ended_at > moment)
  FROM notification_tries t JOIN notifications n ON n.id = t.notification_id,
       (SELECT %s::timestamptz AS moment) AS given
 WHERE t.ended_at > %s GROUP BY n.kind, n.channel, t.outcome
"""
