"""Incidents: what went wrong with a run outside its normal course, recorded and audited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from animus.domain.canonical import canonical_bytes
from animus.domain.ids import ProjectId, RunId, effect_event_id
from animus.domain.runs import FailureClass, RunState
from animus.ledger.leaves import Result
from animus.services.calls import Call, record
from animus.store.database import UnitOfWork
from animus.store.new_ids import new_id
from animus.store.tables import Incident


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentReport:
    kind: str
    message: str
    ends_as: RunState | None = None
    """The state that the run ends in for it; None where the run goes on."""
    failure_class: FailureClass | None = None
    details: Mapping[str, Any] | None = None


async def report(
    uow: UnitOfWork, call: Call, project_id: ProjectId, run_id: RunId, said: IncidentReport, *,
    occurrence: str,
) -> None:  # fmt: skip
    """Once for each `occurrence` of a kind: the audit event's id refuses a second."""
    incident_id = new_id()
    uow.add(
        Incident(
            id=incident_id,
            project_id=project_id,
            run_id=run_id,
            kind=said.kind,
            ends_as=said.ends_as,
            failure_class=said.failure_class,
            message=said.message,
            details=canonical_bytes(dict(said.details or {})),
        )
    )
    record(
        uow, call, "run.incident",
        project_id=project_id, subjects={"run": run_id, "incident": incident_id},
        payload={
            "kind": said.kind, "message": said.message,
            "ends_as": str(said.ends_as) if said.ends_as else None,
        },
        result=Result.FAILED,
        event_id=effect_event_id("run", run_id, "incident", said.kind, occurrence),
    )  # fmt: skip
    await uow.flush()
