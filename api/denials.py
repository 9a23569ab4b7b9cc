"""Denials are recorded in a transaction of their own; floods of strangers are counted."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from fastapi import Request

from animus.domain.access import Actor
from animus.domain.errors import AnimusError
from animus.domain.ids import ProjectId
from animus.ledger.leaves import Result
from animus.services.calls import Call, record
from animus.store.database import Database
from api.context import context_of

ACTION = "access.denied"
SUMMARY_ACTION = "access.unauthenticated"
_SUBJECTS = {
    "run_id": "run", "gate_id": "gate", "change_id": "change", "artifact_id": "artifact",
    "dataset_id": "dataset", "version_id": "dataset_version", "token_id": "token",
    "binding_id": "role_binding", "principal_id": "principal",
}  # fmt: skip


async def record_denial(request: Request, error: AnimusError) -> None:
    """Who was refused what, and why. A denial that cannot be recorded is an error by itself."""
    context = context_of(request)
    actor: Actor | None = getattr(request.state, "actor", None)
    call = Call(actor=actor, request_id=request.state.request_id, now=context.now())
    named = {
        kind: request.path_params[name]
        for name, kind in _SUBJECTS.items()
        if isinstance(request.path_params.get(name), str | UUID)
    }
    route = request.scope.get("route")
    async with context.database.write() as uow:
        record(
            uow, call, ACTION,
            project_id=_project(actor),
            subjects=_valid(named),
            payload={
                "code": error.code,
                "operation": getattr(route, "name", ""),
                "named": {kind: str(value) for kind, value in named.items()},
                "roles": sorted(actor.roles) if actor else [],
            },
            result=Result.DENIED,
        )  # fmt: skip


def _project(actor: Actor | None) -> ProjectId | None:
    """The project only where the caller may know of it; a guessed id is no subject."""
    if actor is None or not actor.roles:
        return None
    return actor.project_id


def _valid(named: dict[str, str | UUID]) -> dict[str, str]:
    subjects = {}
    for kind, value in named.items():
        try:
            subjects[kind] = str(UUID(str(value)))
        except ValueError:
            continue
    return subjects


class UnauthenticatedCounter:
    """How often nobody was let in, by reason, since the last summary."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def count(self, code: str) -> None:
        self._counts[code] += 1

    async def summarise(self, database: Database, call: Call) -> None:
        """One event for all of them; keeps the counts if it cannot be written."""
        if not self._counts:
            return
        counted, self._counts = self._counts, Counter()
        try:
            async with database.write() as uow:
                record(uow, call, SUMMARY_ACTION, payload=dict(counted), result=Result.DENIED)
        except AnimusError:
            self._counts += counted
            raise
