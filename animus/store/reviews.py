"""Review documents of gates, and what of other runs they are written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from animus.domain.review_facts import Metric
from animus.store.database import ReadSession
from animus.store.tables import GateReview

NEWEST_TRIALS = 5
MAX_METRICS = 50
NEWER_RUNS = 10
_AMONG = 2_000
"""Newest runs of the project among which newer ones of the pipeline are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastApproved:
    run_id: UUID
    run: str
    generation: int
    plan_digest: bytes
    canonical: bytes
    approved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundVersion:
    alias: str
    dataset: str
    version: int
    digest: bytes
    files: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRecords:
    """What `look_up` finds for one run that is about to wait at a gate."""

    project: str
    accounts: Mapping[UUID, tuple[str, str, str]]
    """Name, display name and kind, by principal."""
    last_approved: LastApproved | None
    trials: Mapping[str, int]
    """How many runs of the content there are, by state."""
    newest_trials: Sequence[tuple[UUID, str, str, datetime | None]]
    """Id, name, state and end."""


async def look_up(
    session: ReadSession,
    project_id: UUID,
    *,
    accounts: Sequence[UUID],
    pipeline: str,
    content: bytes,
    besides: UUID,
) -> ReviewRecords:
    """`content` is the digest of the run spec that a development run of the same has; `besides`
    the run that all this is for."""
    async with session.together() as asked:
        project = await asked.fetch("SELECT name FROM projects WHERE id = %s", project_id)
        people = await asked.fetch(
            "SELECT id, name, display_name, kind FROM principals WHERE id = ANY(%s)", list(accounts)
        )
        last = await asked.fetch(_LAST_APPROVED, project_id, pipeline)
        counts = await asked.fetch(_TRIALS_BY_STATE, project_id, content, besides)
        newest = await asked.fetch(_NEWEST_TRIALS, project_id, content, besides, NEWEST_TRIALS)
    return ReviewRecords(
        project=project.value[0][0],
        accounts={row[0]: row[1:] for row in people.value},
        last_approved=_last_approved(last.value),
        trials={state: number for state, number in counts.value},
        newest_trials=[(row[0], row[1], row[2], row[3]) for row in newest.value],
    )


def _last_approved(rows: list[tuple[Any, ...]]) -> LastApproved | None:
    for run_id, run, generation, digest, canonical, approved_at in rows:
        return LastApproved(
            run_id=run_id,
            run=run,
            generation=generation,
            plan_digest=digest,
            canonical=canonical,
            approved_at=approved_at,
        )
    return None


_LAST_APPROVED: LiteralString = """
SELECT g.run_id, r.name, g.generation, p.plan_digest, p.canonical, c.closed_at
  FROM gate_reviews v
  JOIN approval_gates g ON g.project_id = v.project_id AND g.id = v.gate_id
  JOIN gate_closures c ON c.project_id = v.project_id AND c.gate_id = v.gate_id
   AND NOT EXISTS (SELECT FROM decision_withdrawals w
                    WHERE w.gate_id = c.gate_id AND w.reopens = c.number)
  JOIN runs r ON r.project_id = g.project_id AND r.id = g.run_id
  JOIN execution_plans p ON p.run_id = g.run_id AND p.generation = g.generation
 WHERE v.project_id = %s AND v.pipeline_name = %s AND c.closing = 'satisfied'
   AND p.gates = (SELECT count(*) FROM approval_gates o JOIN gate_closures s ON s.gate_id = o.id
                   WHERE o.run_id = g.run_id AND o.generation = g.generation
                     AND s.closing = 'satisfied'
                     AND NOT EXISTS (SELECT FROM decision_withdrawals w
                                      WHERE w.gate_id = s.gate_id AND w.reopens = s.number))
 ORDER BY c.closed_at DESC, c.gate_id DESC LIMIT 1
"""
_OF_CONTENT: LiteralString = (
    " FROM runs WHERE project_id = %s AND run_spec_digest = %s AND id <> %s"
)
_TRIALS_BY_STATE: LiteralString = "SELECT state, count(*)" + _OF_CONTENT + " GROUP BY state"
_NEWEST_TRIALS: LiteralString = (
    "SELECT id, name, state, ended_at" + _OF_CONTENT + " ORDER BY id DESC LIMIT %s"
)


async def list_bound_versions(
    session: ReadSession, project_id: UUID, run_id: UUID
) -> Sequence[BoundVersion]:
    rows = await session.fetch(
        "SELECT b.alias, d.name, v.ordinal, v.digest, m.files, m.total_bytes"
        "  FROM run_datasets b"
        "  JOIN dataset_versions v ON v.project_id = b.project_id AND v.id = b.dataset_version_id"
        "  JOIN datasets d ON d.project_id = v.project_id AND d.id = v.dataset_id"
        "  JOIN manifests m ON m.project_id = v.project_id AND m.digest = v.digest"
        " WHERE b.project_id = %s AND b.run_id = %s ORDER BY b.alias",
        project_id,
        run_id,
    )
    return [
        BoundVersion(
            alias=alias,
            dataset=dataset,
            version=version,
            digest=digest,
            files=files,
            total_bytes=total_bytes,
        )
        for alias, dataset, version, digest, files, total_bytes in rows
    ]


async def list_last_metrics(
    session: ReadSession, project_id: UUID, run_id: UUID
) -> tuple[Sequence[Metric], bool]:
    """The last point of the first `MAX_METRICS` metrics by name, and whether there are more. Reads
    one point of each, however many were logged."""
    key = (project_id, run_id)
    rows = await session.fetch(_LAST_METRICS, *key, *key, MAX_METRICS + 1, *key)
    found = [
        Metric(name=name, step=step, step_number=number, value=value)
        for name, step, number, value in rows
    ]
    return found[:MAX_METRICS], len(found) > MAX_METRICS


_LAST_METRICS: LiteralString = """
WITH RECURSIVE names(name) AS (
  (SELECT name FROM run_metrics WHERE project_id = %s AND run_id = %s ORDER BY name LIMIT 1)
  UNION ALL
  SELECT (SELECT m.name FROM run_metrics m
           WHERE m.project_id = %s AND m.run_id = %s AND m.name > names.name
           ORDER BY m.name LIMIT 1)
    FROM names WHERE names.name IS NOT NULL
)
SELECT last.name, last.step, last.step_number, last.value
  FROM (SELECT name FROM names WHERE name IS NOT NULL LIMIT %s) AS wanted,
       LATERAL (SELECT m.name, m.step, m.step_number, m.value FROM run_metrics m
                 WHERE m.project_id = %s AND m.run_id = %s AND m.name = wanted.name
                 ORDER BY m.step_number DESC, m.id DESC LIMIT 1) AS last
 ORDER BY last.name
"""


async def find_review(session: ReadSession, project_id: UUID, gate_id: UUID) -> GateReview | None:
    rows = await session.pick(GateReview, "project_id = %s AND gate_id = %s", project_id, gate_id)
    return next(iter(rows), None)


async def find_digests(
    session: ReadSession, project_id: UUID, gate_ids: Sequence[UUID]
) -> Mapping[UUID, bytes]:
    """Of the reviews of gates, by gate."""
    rows = await session.fetch(
        "SELECT gate_id, digest FROM gate_reviews WHERE project_id = %s AND gate_id = ANY(%s)",
        project_id,
        list(gate_ids),
    )
    return {gate_id: digest for gate_id, digest in rows}


async def list_earlier_digests(
    session: ReadSession, project_id: UUID, run_id: UUID, *, before: int
) -> frozenset[bytes]:
    """Of the reviews of a run's generations before one."""
    rows = await session.fetch(
        "SELECT v.digest FROM gate_reviews v JOIN approval_gates g ON g.id = v.gate_id"
        " WHERE v.project_id = %s AND v.run_id = %s AND g.generation < %s",
        project_id,
        run_id,
        before,
    )
    return frozenset(digest for (digest,) in rows)


async def list_newer_runs(
    session: ReadSession, project_id: UUID, *, pipeline: str, after: UUID
) -> Sequence[tuple[str, str, str, datetime]]:
    """Name, classification, state and time of the newest runs of a pipeline since one."""
    rows = await session.fetch(
        "SELECT name, classification, state, created_at FROM ("
        "SELECT id, name, classification, state, created_at, pipeline_name FROM runs"
        " WHERE project_id = %s AND id > %s ORDER BY id DESC LIMIT %s"
        ") AS newer WHERE pipeline_name = %s ORDER BY id DESC LIMIT %s",
        project_id,
        after,
        _AMONG,
        pipeline,
        NEWER_RUNS,
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]
