"""Preview: the whole simulation of a run over one read-only snapshot. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from animus.domain.ids import ProjectId
from animus.domain.plans import ExecutionPlan
from animus.domain.previews import Missing, Simulation, simulate
from animus.domain.verdicts import GateRule
from animus.ports import RuleJudge
from animus.services import policies
from animus.services.calls import Call
from animus.services.planning import make_plan
from animus.services.run_requests import RunRequest, resolve
from animus.store.database import ReadSession
from animus.store.projects import list_bindings


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalNeeded:
    """A gate, and who could decide on it now. People are shown, never part of the plan."""

    rule: GateRule
    approvers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    plan: ExecutionPlan
    simulation: Simulation
    approvals: tuple[ApprovalNeeded, ...]
    missing: tuple[Missing, ...]
    digest_is_expected: bool | None
    """Whether it is the digest that the caller expected; None where none was named."""


async def preview(
    session: ReadSession,
    call: Call,
    project_id: ProjectId,
    request: RunRequest,
    *,
    judge: RuleJudge,
) -> Preview:
    """`session` is one snapshot, of a role that may only read."""
    resolved = await resolve(session, project_id, request)
    asked = await policies.in_force(session, project_id)
    planned = await make_plan(resolved.spec, resolved.facts, asked, judge)
    expected = request.expected_plan_digest
    return Preview(
        plan=planned.plan,
        simulation=simulate(planned.plan.document.body),
        approvals=await _approvals(session, call, project_id, planned.plan.document.gates),
        missing=resolved.missing,
        digest_is_expected=None if expected is None else expected == planned.plan.digest,
    )


async def _approvals(
    session: ReadSession, call: Call, project_id: ProjectId, gates: Sequence[GateRule]
) -> tuple[ApprovalNeeded, ...]:
    if not gates:
        return ()
    members = await list_bindings(session, project_id)
    return tuple(
        ApprovalNeeded(
            rule=rule,
            approvers=tuple(
                sorted(
                    principal.name
                    for binding, principal in members
                    if binding.role == rule.role
                    and principal.person_id != call.by.person_id
                    and principal.disabled_at is None
                    and (principal.kind == "person" or principal.name in rule.service_accounts)
                )
            ),
        )
        for rule in gates
    )
