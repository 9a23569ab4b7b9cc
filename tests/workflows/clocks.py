"""Deadlines moved by the superuser: the shortest that a policy may name is a minute away.

Triggers guard immutable rows from the superuser too, so those of gates are off for a moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from animus.store import runs
from animus.store.database import UnitOfWork
from tests.workflows.projects import Project

_GATES = """
    UPDATE approval_gates SET deadline = clock_timestamp() + make_interval(secs => %s)
     WHERE run_id = ANY(%s)
"""
_RUNS = """
    UPDATE runs SET deadline = clock_timestamp() + make_interval(secs => %s) WHERE id = ANY(%s)
"""
_GUARD_AGAIN = """
    DO $$
    DECLARE guard record;
    BEGIN
      FOR guard IN SELECT tgname FROM pg_trigger
                    WHERE tgrelid = 'approval_gates'::regclass AND NOT tgisinternal
      LOOP
        EXECUTE format('ALTER TABLE approval_gates ENABLE ALWAYS TRIGGER %%I', guard.tgname);
      END LOOP;
    END $$
"""


async def move_gate_deadlines(project: Project, run_ids: Sequence[str], *, seconds: float) -> None:
    """The gates of these runs expire `seconds` from now; their workflows are told to look."""
    ids = [UUID(run_id) for run_id in run_ids]
    async with project.platform.records.write() as uow:
        await uow.run("ALTER TABLE approval_gates DISABLE TRIGGER USER")
        await uow.run(_GATES, seconds, ids)
        await uow.run(_GUARD_AGAIN)
        await uow.run(_RUNS, seconds, ids)
        _wake(uow, project, ids)


async def pass_run_deadline(project: Project, run_id: str) -> None:
    """The run's own deadline lies behind it; its workflow is told to look."""
    ids = [UUID(run_id)]
    async with project.platform.records.write() as uow:
        await uow.run(_RUNS, -1.0, ids)
        _wake(uow, project, ids)


def _wake(uow: UnitOfWork, project: Project, ids: Sequence[UUID]) -> None:
    for run_id in ids:
        runs.add_outbox(uow, UUID(project.id), run_id, "wake")
