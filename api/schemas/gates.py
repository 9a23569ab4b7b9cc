"""Bodies and views of approval gates: decisions, their withdrawal, and whose place one may take."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, StringConstraints

from animus.domain.approvals import DecisionVerdict, Meaning
from animus.domain.derived_state import GateClosing
from animus.domain.digests import Digest
from animus.domain.ids import DelegationId
from animus.domain.verdicts import GateRule
from animus.services.approvals import GateView, MakeDecision
from animus.services.delegations import DelegationView
from api.schemas.fields import Body, DigestIn, DigestOut, PageLimit, View


class DecisionIn(Body):
    verdict: DecisionVerdict
    plan_digest: DigestIn
    review_digest: DigestIn | None = None
    """Of the review document that was read; required where the gate has one."""
    meaning: Meaning | None = None
    """Left out, an approval means `approved` and a rejection `reviewed`."""
    delegation_id: UUID | None = None
    """In whose place you decide, if not in your own: a delegation to you."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]

    def said(self) -> MakeDecision:
        return MakeDecision(
            verdict=self.verdict,
            plan_digest=Digest(self.plan_digest),
            review_digest=Digest(self.review_digest) if self.review_digest else None,
            meaning=self.meaning,
            reason=self.reason,
            delegation_id=DelegationId(self.delegation_id) if self.delegation_id else None,
        )


class WithdrawalIn(Body):
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]


class WithdrawalOut(View):
    reason: str
    principal_id: UUID
    principal: str
    withdrawn_at: datetime
    audit_event_id: UUID


class DecisionOut(View):
    id: UUID
    gate_id: UUID
    verdict: DecisionVerdict
    reason: str
    principal_id: UUID
    principal: str
    roles_held: tuple[str, ...]
    plan_digest: DigestOut
    decided_at: datetime
    meaning: Meaning | None
    """Null for a decision of before there were reviews; so are the next two."""
    review_digest: DigestOut | None
    audit_event_id: UUID | None
    withdrawal: WithdrawalOut | None
    """Null while the decision counts."""
    in_place_of: str | None
    """Who delegated it, by name; null for a decision in one's own name."""
    delegation_id: UUID | None


class DecisionRecordOut(View):
    decision: DecisionOut
    gate: str
    run_id: UUID
    run: str
    generation: int


class DecisionPage(View):
    decisions: list[DecisionRecordOut]
    next_before: UUID | None
    """Give it as `before` for the next page; null at the end."""


class DecisionQuery(Body):
    """Which decisions; `before` is the `next_before` of the page before."""

    mine: bool = False
    """Only your own, and those of accounts that you answer for."""
    run_id: UUID | None = None
    since: AwareDatetime | None = None
    before: UUID | None = None
    limit: PageLimit = 100


class StandInOut(View):
    """Somebody whom the gate waits for, and in whose place you may decide."""

    id: UUID
    """Of the delegation."""
    delegator: str
    until: datetime


class GateQuery(Body):
    """Which gates; `after` is the id of the last one of the page before."""

    mine: bool = False
    """Only those that you may decide on, and have not decided on."""
    open: bool = True
    """Only those that take decisions."""
    after: UUID | None = None
    limit: PageLimit = 500


class GateOut(View):
    id: UUID
    run_id: UUID
    run: str
    generation: int
    name: str
    rule: GateRule
    plan_digest: DigestOut
    requester_person_id: UUID
    opened_at: datetime
    deadline: datetime
    closing: GateClosing | None
    """How it is closed now; a withdrawal may open it again."""
    closed_at: datetime | None
    decisions: tuple[DecisionOut, ...]
    review_digest: DigestOut | None
    """Of the review document; null for a gate of before there were any."""
    stand_ins: tuple[StandInOut, ...] = ()
    """In whose place you may decide; told where gates that are yours to decide are listed."""

    @classmethod
    def of(cls, view: GateView, stand_ins: Sequence[DelegationView]) -> GateOut:
        found = tuple(StandInOut.model_validate(one) for one in stand_ins)
        return cls.model_validate(view).model_copy(update={"stand_ins": found})
