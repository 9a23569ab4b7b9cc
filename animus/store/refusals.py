"""What the database refused, as domain errors. Anything not listed here is a bug and stays one."""

from __future__ import annotations

import psycopg
from sqlalchemy.exc import DBAPIError

from animus.domain.approvals import AlreadyDecided, GateClosed
from animus.domain.delegations import DelegationEnded
from animus.domain.errors import AnimusError, Conflict, Refused, SelfApproval, Unavailable
from animus.domain.runs import IllegalTransition
from animus.domain.withdrawals import AlreadyWithdrawn, WithdrawalTooLate

_UNIQUE_VIOLATION = "23505"
_CHECK_VIOLATION = "23514"
_CONNECTION = ("08", "57P", "53")  # exceptions, operator intervention, insufficient resources
_RETRY = ("40001", "40P01", "55P03")  # serialization, deadlock, lock not available


class NotPermitted(Refused):
    """The database does not show what this step needs: gates, plan, revalidation."""

    code = "not_permitted"


class AlreadyExists(Conflict):
    code = "already_exists"


def translate(error: DBAPIError | psycopg.Error) -> Exception:
    """The domain error for a refusal, or `error` itself."""
    said = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(said, psycopg.Error):
        return error
    state = said.sqlstate or ""
    constraint = said.diag.constraint_name or ""
    away = isinstance(said, psycopg.OperationalError | psycopg.InterfaceError)
    if away or state.startswith(_CONNECTION) or state in _RETRY:
        return Unavailable("The database is not answering. Try again.", detail=str(said))
    if state == _UNIQUE_VIOLATION:
        return _already_there(constraint)
    if state == _CHECK_VIOLATION and constraint in ("four_eyes", "a_second_person"):
        return SelfApproval("A second person must decide.")
    return _raised_by_trigger(state, said) or error


def _already_there(constraint: str) -> AnimusError:
    if constraint == "decisions_gate_id_person_id_number_key":
        return AlreadyDecided("You, or an account you answer for, have decided on this gate.")
    if constraint == "decision_withdrawals_pkey":
        return AlreadyWithdrawn("This decision was withdrawn before.")
    return AlreadyExists("Something with this name or content is there already.", detail=constraint)


def _raised_by_trigger(state: str, error: psycopg.Error) -> AnimusError | None:
    detail = str(error)
    match state:
        case "AN003":
            return IllegalTransition("The run cannot go from its state to that one.", detail=detail)
        case "AN004":
            return NotPermitted("The records do not permit this step of the run.", detail=detail)
        case "AN005":
            return Conflict("Another attempt of this step is open.", detail=detail)
        case "AN006":
            return GateClosed("The gate takes no decision any more.", detail=detail)
        case "AN008":
            return WithdrawalTooLate("Execution has begun, or the run has ended.", detail=detail)
        case "AN009":
            return DelegationEnded("The delegation does not hold any more.", detail=detail)
        case "AN010":
            return AlreadyDecided("This person has decided, or was stood in for.", detail=detail)
        case _:
            return None
