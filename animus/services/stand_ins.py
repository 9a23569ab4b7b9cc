"""Whose place somebody would decide in: what delegations change of an inbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from animus.domain.access import Actor, PrincipalKind
from animus.domain.ids import GateId, PersonId, ProjectId
from animus.services.approvals import GateView
from animus.services.decisions import standing
from animus.services.delegations import DelegationView, list_usable
from animus.store.database import ReadSession


async def find_stand_ins(
    session: ReadSession, project_id: ProjectId, actor: Actor, gates: Sequence[GateView]
) -> Mapping[GateId, Sequence[DelegationView]]:
    """By gate: delegations to `actor` that could be used there; of each person the newest. To
    persons only: an account that one answers for stands in for nobody."""
    if not gates or actor.kind is not PrincipalKind.PERSON:
        return {}
    roles = {gate.rule.role for gate in gates}
    usable = await list_usable(session, project_id, actor.person_id, roles)
    return {gate.id: [one for one in usable if _waits(gate, one)] for gate in gates}


def _waits(gate: GateView, delegation: DelegationView) -> bool:
    """The gate waits for who delegated."""
    heard = {one.person_id for one in standing(gate.decisions)}
    heard |= {one.in_place_of_id for one in standing(gate.decisions) if one.in_place_of_id}
    person: PersonId = delegation.delegator_id
    return (
        gate.rule.role == delegation.role
        and gate.requester_person_id != person
        and person not in heard
    )
