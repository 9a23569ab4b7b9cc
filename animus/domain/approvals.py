"""Rules of approval: who may decide, when a gate is satisfied. Pure; the database says it too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from animus.domain.access import Actor, PrincipalKind, Role
from animus.domain.derived_state import GateClosing
from animus.domain.errors import Conflict, Forbidden, Invalid, SelfApproval
from animus.domain.ids import PersonId
from animus.domain.verdicts import GateRule


class DecisionVerdict(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class Meaning(StrEnum):
    """What a person says of the act of signing."""

    REVIEWED = "reviewed"
    APPROVED = "approved"
    TOOK_RESPONSIBILITY = "took_responsibility"


class ReviewStale(Conflict):
    code = "review_stale"
    is_denial = True


class ReviewMismatch(Conflict):
    code = "review_mismatch"
    is_denial = True


class ReviewDigestRequired(Invalid):
    code = "review_digest_required"


class MeaningUnfit(Invalid):
    code = "meaning_unfit"


class PlanDigestMismatch(Conflict):
    code = "plan_digest_mismatch"
    is_denial = True


class GateClosed(Conflict):
    code = "gate_closed"
    is_denial = True


class GateExpired(Conflict):
    code = "gate_expired"
    is_denial = True


class AlreadyDecided(Conflict):
    code = "already_decided"
    is_denial = True


class NotAnApprover(Forbidden):
    code = "not_an_approver"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGate:
    """A gate at the moment of a decision; times by the database's clock."""

    rule: GateRule
    plan_digest: bytes
    requester: PersonId
    deadline: datetime
    closing: GateClosing | None
    decided_by: frozenset[PersonId]
    decided_for: frozenset[PersonId] = frozenset()
    """In whose place others have decided: that person has said yes or no, too."""
    review_digest: bytes | None = None
    """None for a gate of before there were reviews."""
    earlier_reviews: frozenset[bytes] = frozenset()
    """Digests of the reviews of the run's earlier generations."""
    is_superseded: bool = False
    """A newer generation of the run has opened."""


def check_decision(
    gate: OpenGate,
    actor: Actor,
    *,
    plan_digest: bytes,
    now: datetime,
    review_digest: bytes | None = None,
) -> None:
    """Raise the one clear refusal, or return where `actor` may decide on this gate now."""
    check_approver(gate.rule, actor, requester=gate.requester)
    _check_review(gate, review_digest)
    if gate.plan_digest != plan_digest:
        raise PlanDigestMismatch(
            "The gate is about another plan. Read the plan again and decide on its digest."
        )
    check_is_open(gate.closing, now=now, deadline=gate.deadline)
    if actor.person_id in gate.decided_by:
        raise AlreadyDecided("You, or an account you answer for, have decided on this gate.")
    if actor.person_id in gate.decided_for:
        raise AlreadyDecided(
            "Somebody has decided on this gate in your place. Ask for that to be withdrawn."
        )


def check_approver(rule: GateRule, actor: Actor, *, requester: PersonId) -> None:
    """Who may decide may also ask: by role, as a person or a named account, and never oneself."""
    if Role(rule.role) not in actor.roles:
        raise NotAnApprover(f"Deciding here needs the role {rule.role!r} on the project.")
    if actor.kind is not PrincipalKind.PERSON and actor.name not in rule.service_accounts:
        raise NotAnApprover("Persons decide here; the policy names no such service account.")
    if actor.person_id == requester:
        raise SelfApproval(
            "You asked for this run, or answer for who did. A second person must decide."
        )


def check_is_open(closing: GateClosing | None, *, now: datetime, deadline: datetime) -> None:
    """Raise where the gate takes neither decisions nor questions any more."""
    if closing is GateClosing.EXPIRED or (closing is None and now >= deadline):
        raise GateExpired("The deadline has passed; this gate takes no decision any more.")
    if closing is not None:
        raise GateClosed(f"The gate is closed: {closing}.")


def _check_review(gate: OpenGate, seen: bytes | None) -> None:
    """Only a newer generation makes a review stale: never a newer run, decision or question."""
    if gate.review_digest is None:
        if seen is not None:
            raise ReviewMismatch("This gate has no review document. Decide without its digest.")
        return
    if gate.is_superseded or seen in gate.earlier_reviews:
        raise ReviewStale(
            "What you reviewed is not asked any more: the plan has changed, and a newer generation"
            " has opened. Read its review and decide on that."
        )
    if seen is None:
        raise ReviewDigestRequired(
            "Say which review document you read: send its digest as 'review_digest', or upgrade the"
            " command line, which shows it."
        )
    if seen != gate.review_digest:
        raise ReviewMismatch(
            "The gate's review document is another one. Read it and decide on its digest."
        )


def meaning_of(verdict: DecisionVerdict, said: Meaning | None) -> Meaning:
    """What was said, or what goes without saying; raises `MeaningUnfit` for a contradiction."""
    if said is None:
        return Meaning.APPROVED if verdict is DecisionVerdict.APPROVE else Meaning.REVIEWED
    if verdict is DecisionVerdict.REJECT and said is Meaning.APPROVED:
        raise MeaningUnfit(
            "A rejection cannot mean 'approved'. Say 'reviewed' or 'took_responsibility'."
        )
    return said


def closing_of(
    rule: GateRule, verdicts: Sequence[DecisionVerdict], *, now: datetime, deadline: datetime
) -> GateClosing | None:
    """How the gate closes with these decisions at `now`; None while it stays open."""
    return settled_by(rule, verdicts) or (GateClosing.EXPIRED if now >= deadline else None)


def settled_by(rule: GateRule, verdicts: Sequence[DecisionVerdict]) -> GateClosing | None:
    """What these decisions alone, without the clock, say of the gate."""
    if DecisionVerdict.REJECT in verdicts:
        return GateClosing.REJECTED
    if sum(1 for verdict in verdicts if verdict is DecisionVerdict.APPROVE) >= rule.quorum:
        return GateClosing.SATISFIED
    return None
