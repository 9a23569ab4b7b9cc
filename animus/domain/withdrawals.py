"""Rules of withdrawal: who may take a decision back, and until when. Pure; the database says the
second too."""

from __future__ import annotations

from dataclasses import dataclass

from animus.domain.access import Actor, PrincipalKind
from animus.domain.approvals import GateClosed, ReviewStale
from animus.domain.derived_state import GateClosing
from animus.domain.errors import Conflict, Forbidden
from animus.domain.ids import PersonId, PrincipalId
from animus.domain.runs import TERMINAL, RunState


class WithdrawalTooLate(Conflict):
    code = "withdrawal_too_late"
    is_denial = True


class AlreadyWithdrawn(Conflict):
    code = "already_withdrawn"
    is_denial = True


class NotYourDecision(Forbidden):
    code = "not_your_decision"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeDecision:
    """A decision at the moment of its withdrawal, and what became of its gate and run."""

    principal_id: PrincipalId
    person_id: PersonId
    is_withdrawn: bool
    closing: GateClosing | None
    """Of its gate."""
    is_superseded: bool
    """A newer generation of the run has opened."""
    run_state: RunState


def check_withdrawal(decision: MadeDecision, actor: Actor) -> None:
    """Raise the one clear refusal, or return where `actor` may take it back now."""
    if not _is_own(decision, actor):
        raise NotYourDecision(
            "Only who made a decision withdraws it; of a service account also the person who"
            " answers for it. Decide otherwise, or cancel the run."
        )
    if decision.is_withdrawn:
        raise AlreadyWithdrawn("This decision was withdrawn before.")
    if decision.run_state in TERMINAL:
        raise WithdrawalTooLate(f"The run has ended: it is {decision.run_state}.")
    if decision.run_state is RunState.RUNNING:
        raise WithdrawalTooLate(
            "It is too late: execution has begun. Cancel the run to stop it: animus run cancel."
        )
    if decision.is_superseded:
        raise ReviewStale(
            "The plan has changed since, and a newer generation has opened: this decision counts"
            " no more anyway."
        )
    if decision.closing in (GateClosing.EXPIRED, GateClosing.VOIDED):
        raise GateClosed(f"The gate is closed: {decision.closing}. The decision counts no more.")


def _is_own(decision: MadeDecision, actor: Actor) -> bool:
    """A person's are those of accounts that it answers for, too; an account's only its own."""
    if actor.kind is PrincipalKind.PERSON:
        return actor.person_id == decision.person_id
    return actor.principal_id == decision.principal_id
