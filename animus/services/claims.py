"""What the data plane asks: claiming an attempt with its order, its inputs, places for outputs."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from animus.domain.access import PrincipalKind
from animus.domain.errors import CredentialRefused, Forbidden, Invalid
from animus.domain.ids import AttemptId, PersonId, PrincipalId, ProjectId, RunId
from animus.domain.resources import parse_bytes
from animus.domain.runs import RunState
from animus.domain.tokens import ENTROPY_BYTES, TokenKind, make_token, read_kind, token_hash
from animus.domain.work_orders import Assignment, OrderRefused, order_digest
from animus.ports import ObjectStore
from animus.services.blobs import ObjectUpload, WantedObject, uploads_for
from animus.services.calls import Call, record
from animus.services.parsed import assignment_of
from animus.store import data, execution, principals, runs
from animus.store.database import ReadSession, UnitOfWork
from animus.store.execution import OrderRecords
from animus.store.new_ids import new_id
from animus.store.run_records import RunStanding, get_standing
from animus.store.tables import (
    Attempt,
    AttemptClaim,
    AttemptToken,
    Cluster,
    Principal,
    Run,
    WorkOrderRow,
)

MAX_LOG_BYTES = 64 * 1024**2
MAX_OUTPUT_OBJECTS = 5_000  # in one request


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an agent gets for a valid order. The tokens exist in clear only here."""

    attempt_id: AttemptId
    run_id: RunId
    project_id: ProjectId
    assignment: bytes
    attempt_token: str
    run_token: str | None
    first: bool
    """False where it was claimed before: then it may have started, and is adopted or lost."""
    claimed_at: datetime
    max_log_bytes: int = MAX_LOG_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptAccess:
    """Behind an attempt token: the one attempt that it is good for."""

    attempt_id: AttemptId
    project_id: ProjectId
    run_id: RunId
    person_id: PersonId
    """Who answers for the run."""
    number: int
    assignment: Assignment


async def claim_attempt(uow: UnitOfWork, call: Call, *, order: bytes, signature: bytes) -> Claim:
    """Tokens for the attempt that `order` permits, to the agent of its cluster and to no other.

    The bytes must be those that control signed and stored; that the signature holds, the agent
    has verified itself. Raises `OrderRefused` for everything that is not so, now.
    """
    found = await get_order(uow, order_digest(order))
    attempt, row, cluster = found.attempt, found.order, found.cluster
    if row.canonical != order or row.signature != signature:
        raise OrderRefused("This is not the order that was signed.")
    check_cluster(call, cluster)
    standing = await get_standing(uow, attempt.project_id, attempt.run_id)
    check_obeyable(standing, attempt, row, settled=found.outcome is not None)
    first, claim = found.claim is None, found.claim or _new_claim(call, attempt)
    if first:
        uow.add(claim)
        record(
            uow, call, "attempt.claimed",
            project_id=ProjectId(attempt.project_id),
            subjects={"run": attempt.run_id, "attempt": attempt.id},
            payload={"cluster": cluster.name},
        )  # fmt: skip
    holder = await _run_principal(uow, call, standing.run)
    assignment = assignment_of(row.assignment)
    attempt_token = _add_token(uow, attempt, row, holder, scope="attempt")
    run_token = None
    if assignment.step.telemetry:
        run_token = _add_token(uow, attempt, row, holder, scope="run")
    await uow.flush()
    return Claim(
        attempt_id=AttemptId(attempt.id),
        run_id=RunId(attempt.run_id),
        project_id=ProjectId(attempt.project_id),
        assignment=row.assignment,
        attempt_token=attempt_token,
        run_token=run_token,
        first=first,
        claimed_at=claim.claimed_at,
    )


async def find_settled(
    session: ReadSession, call: Call, attempt_ids: Sequence[UUID]
) -> Sequence[UUID]:
    """Those of them that are not open. Raises `Forbidden` to whom no cluster is given.

    Who asks removes what is settled: so of agents it does not matter whose attempt it is. One that
    was given another's token must not hear that its own attempts are over.
    """
    if await runs.find_cluster_of(session, call.by.principal_id) is None:
        raise Forbidden("Only a cluster's agent asks which attempts are over.")
    is_open = await execution.find_open_attempts(session, attempt_ids)
    return sorted(set(attempt_ids) - is_open)


def _new_claim(call: Call, attempt: Attempt) -> AttemptClaim:
    return AttemptClaim(
        attempt_id=attempt.id,
        project_id=attempt.project_id,
        principal_id=call.by.principal_id,
    )


async def get_order(uow: UnitOfWork, digest: bytes) -> OrderRecords:
    """Under the lock of its run: who asks at once is answered one after another."""
    named = await execution.find_attempt_of_order(uow, digest)
    found = await execution.find_order(uow, *named, lock=True) if named is not None else None
    if found is None:
        raise OrderRefused("There is no such work order.")
    return found


def check_cluster(call: Call, cluster: Cluster) -> None:
    """Raises `OrderRefused` for every other caller than the cluster's agent."""
    if cluster.principal_id != call.by.principal_id or cluster.retired_at is not None:
        raise OrderRefused("The order is for another cluster.")


def check_obeyable(
    standing: RunStanding, attempt: Attempt, row: WorkOrderRow, *, settled: bool
) -> None:
    """Raises `OrderRefused` unless the order permits its attempt now."""
    if not row.not_before <= standing.read_at <= row.not_after:
        raise OrderRefused("The work order has expired.")
    if settled:
        raise OrderRefused("The attempt is closed; its order is spent.")
    if standing.run.state != RunState.RUNNING or standing.is_canceled:
        raise OrderRefused("The run is not running, or is being canceled.")
    if standing.run.plan_digest != attempt.plan_digest:
        raise OrderRefused("The order is for another plan than the run's.")


def _add_token(
    uow: UnitOfWork,
    attempt: Attempt,
    row: WorkOrderRow,
    holder: UUID,
    *,
    scope: str,
) -> str:
    kind = TokenKind.RUN if scope == "run" else TokenKind.ATTEMPT
    secret = make_token(kind, secrets.token_bytes(ENTROPY_BYTES))
    uow.add(
        AttemptToken(
            token_hash=token_hash(secret),
            project_id=attempt.project_id,
            attempt_id=attempt.id,
            run_id=attempt.run_id,
            principal_id=holder,
            scope=scope,
            expires_at=row.not_after,
        )
    )
    return secret


async def _run_principal(uow: UnitOfWork, call: Call, run: Run) -> UUID:
    """The run as a principal: answers through the person who asked for it."""
    name = f"run-{run.name}"
    known = await principals.find_run_principal(uow, run.project_id, run.id)
    if known is not None:
        return known.id
    row = Principal(
        id=new_id(),
        kind=PrincipalKind.RUN,
        name=name,
        display_name=name,
        person_id=run.requester_person_id,
        project_id=run.project_id,
        run_id=run.id,
        created_by=call.by.principal_id,
    )
    uow.add(row)
    return row.id


async def authenticate_attempt(
    session: ReadSession, token: str, *, now: datetime
) -> tuple[AttemptAccess, PrincipalId]:
    """The attempt behind a token of fetch or collect, while it is open."""
    if read_kind(token) is not TokenKind.ATTEMPT:
        raise CredentialRefused("This needs the token of an attempt.")
    held = await principals.find_attempt_token(session, token_hash(token), now=now)
    if held is None or held.scope != "attempt":
        raise CredentialRefused("The attempt token is unknown, expired or revoked.")
    order = await execution.find_order(session, held.project_id, held.attempt_id)
    assert order is not None  # a foreign key says so
    attempt = order.attempt
    if order.outcome is not None:
        raise CredentialRefused("The attempt is closed; its token is spent.")
    access = AttemptAccess(
        attempt_id=AttemptId(attempt.id),
        project_id=ProjectId(attempt.project_id),
        run_id=RunId(attempt.run_id),
        person_id=PersonId(held.person_id),
        number=attempt.number,
        assignment=assignment_of(order.order.assignment),
    )
    return access, PrincipalId(held.principal_id)


async def step_uploads(
    session: ReadSession,
    access: AttemptAccess,
    wanted: Sequence[WantedObject],
    *,
    store: ObjectStore,
) -> tuple[ObjectUpload, ...]:
    """Presigned PUTs for outputs and log; what the store has already is left out."""
    largest = parse_bytes(access.assignment.step.resources.ephemeralStorage)
    largest = max(largest, MAX_LOG_BYTES)
    if len(wanted) > MAX_OUTPUT_OBJECTS or any(one.size > largest for one in wanted):
        raise Invalid("Too many outputs at once, or one beyond the step's storage.")
    known = await data.find_blobs(session, access.project_id, [one.sha256 for one in wanted])
    return uploads_for(store, access.project_id, [one for one in wanted if one.sha256 not in known])
