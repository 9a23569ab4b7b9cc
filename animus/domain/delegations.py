"""Rules of delegation: who decides in whose place, and until when. It gives nobody a right: both
hold the role. Pure; the database says it too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from animus.domain.access import Actor, PrincipalKind, Role
from animus.domain.approvals import AlreadyDecided, NotAnApprover, OpenGate
from animus.domain.errors import Conflict, Forbidden, Invalid, SelfApproval
from animus.domain.ids import PersonId

LONGEST = timedelta(days=90)
MOST = 20
"""In force at a time, by one person on one project."""


class DelegationUnfit(Invalid):
    code = "delegation_unfit"


class DelegateUnfit(Conflict):
    code = "delegate_unfit"


class TooManyDelegations(Conflict):
    code = "too_many_delegations"


class DelegationEnded(Conflict):
    code = "delegation_ended"
    is_denial = True


class NotYourDelegation(Forbidden):
    code = "not_your_delegation"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedDelegation:
    """A delegation at the moment of a decision that names it."""

    role: Role
    delegator: PersonId
    delegator_name: str
    delegate: PersonId
    until: datetime
    is_revoked: bool
    delegator_holds_role: bool
    """Now: who has lost the role, or is disabled, has nothing to hand on."""


def check_new(actor: Actor, role: Role, *, until: datetime, now: datetime) -> None:
    """Raise the one clear refusal, or return where `actor` may hand on `role` until then."""
    if actor.kind is not PrincipalKind.PERSON:
        raise NotAnApprover("Persons delegate, to persons. Ask who answers for this account.")
    if role not in actor.roles:
        raise NotAnApprover(f"You do not hold the role {role.value!r} on the project.")
    if until <= now:
        raise DelegationUnfit("The delegation would be over already. Say a later date.")
    if until - now > LONGEST:
        raise DelegationUnfit(f"A delegation lasts {LONGEST.days} days at most. Renew it then.")


def check_another(in_force: int) -> None:
    """Raise where whoever delegates has as many in force as may be."""
    if in_force >= MOST:
        raise TooManyDelegations(
            f"You have {in_force} delegations in force on this project, and {MOST} may be. Take one"
            " back first."
        )


def check_use(delegation: UsedDelegation, gate: OpenGate, actor: Actor, *, now: datetime) -> None:
    """Raise where `actor` does not decide in the place that the delegation names.

    That `actor` may decide here at all is checked besides: see `check_decision`.
    """
    name = delegation.delegator_name
    if actor.kind is not PrincipalKind.PERSON or actor.person_id != delegation.delegate:
        raise NotYourDelegation("This delegation is to another person.")
    if delegation.is_revoked:
        raise DelegationEnded(f"{name} has taken the delegation back. Decide in your own name.")
    if now >= delegation.until:
        raise DelegationEnded("The delegation is over. Decide in your own name, or ask anew.")
    if not delegation.delegator_holds_role:
        raise DelegationEnded(f"{name} does not hold the role any more. Decide in your own name.")
    if delegation.role != gate.rule.role:
        raise NotAnApprover(
            f"The delegation is of the role {delegation.role.value!r}; deciding here needs"
            f" {gate.rule.role!r}."
        )
    if delegation.delegator == gate.requester:
        raise SelfApproval(f"{name} asked for this run. Nobody decides on it in that place.")
    if delegation.delegator in gate.decided_by | gate.decided_for:
        raise AlreadyDecided(f"{name}, or somebody in that place, has decided on this gate.")
