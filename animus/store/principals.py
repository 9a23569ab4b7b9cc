"""Principals, tokens and roles: who is calling, and what they may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlmodel import col

from animus.store.database import Plain, ReadSession, UnitOfWork
from animus.store.scope import scoped
from animus.store.tables import ApiToken, Principal, RoleBinding


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHolder:
    """Who is behind a live api token, with the roles held on the project asked about."""

    token_id: UUID
    principal_id: UUID
    person_id: UUID
    kind: str
    name: str
    platform_admin: bool
    roles: Sequence[str]


async def find_token_holder(
    plain: Plain, token_hash: bytes, *, project_id: UUID | None, now: datetime
) -> TokenHolder | None:
    """In one statement, in plain SQL: every request asks it."""
    rows = await plain.fetch(_TOKEN_HOLDER, project_id, token_hash, now)
    if not rows:
        return None
    token_id, principal_id, person_id, kind, name, platform_admin, roles = rows[0]
    return TokenHolder(
        token_id=token_id,
        principal_id=principal_id,
        person_id=person_id,
        kind=kind,
        name=name,
        platform_admin=platform_admin,
        roles=roles,
    )


_TOKEN_HOLDER: LiteralString = """
SELECT t.id, p.id, p.person_id, p.kind, p.name, p.platform_admin,
       ARRAY(SELECT b.role FROM role_bindings b
              WHERE b.project_id = %s AND b.principal_id = p.id AND b.revoked_at IS NULL)
  FROM api_tokens t
  JOIN principals p ON p.id = t.principal_id
  JOIN principals a ON a.id = p.person_id
 WHERE t.token_hash = %s AND t.revoked_at IS NULL AND t.expires_at > %s
   AND p.disabled_at IS NULL AND a.disabled_at IS NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptTokenHolder:
    """What a live token of an attempt is good for, and the run's principal that holds it."""

    scope: str
    project_id: UUID
    run_id: UUID
    attempt_id: UUID
    principal_id: UUID
    person_id: UUID
    name: str


async def find_attempt_token(
    plain: Plain, token_hash: bytes, *, now: datetime
) -> AttemptTokenHolder | None:
    """None too where somebody behind the run is disabled, or the run is being canceled."""
    rows = await plain.fetch(_ATTEMPT_TOKEN_HOLDER, token_hash, now)
    if not rows:
        return None
    scope, project_id, run_id, attempt_id, principal_id, person_id, name = rows[0]
    return AttemptTokenHolder(
        scope=scope,
        project_id=project_id,
        run_id=run_id,
        attempt_id=attempt_id,
        principal_id=principal_id,
        person_id=person_id,
        name=name,
    )


_ATTEMPT_TOKEN_HOLDER: LiteralString = """
SELECT t.scope, t.project_id, t.run_id, t.attempt_id, p.id, p.person_id, p.name
  FROM attempt_tokens t
  JOIN principals p ON p.id = t.principal_id
  JOIN runs r ON r.project_id = t.project_id AND r.id = t.run_id
 WHERE t.token_hash = %s AND t.revoked_at IS NULL AND t.expires_at > %s
   AND NOT EXISTS (SELECT FROM principals d
                    WHERE d.id IN (p.id, p.person_id, r.requested_by)
                      AND d.disabled_at IS NOT NULL)
   AND NOT EXISTS (SELECT FROM cancel_requests c
                    WHERE c.project_id = t.project_id AND c.run_id = t.run_id)
"""


async def roles_of(session: ReadSession, project_id: UUID, principal_id: UUID) -> Sequence[str]:
    bindings = await session.all(
        scoped(RoleBinding, project_id).where(
            col(RoleBinding.principal_id) == principal_id, col(RoleBinding.revoked_at).is_(None)
        )
    )
    return [binding.role for binding in bindings]


async def find_principal(session: ReadSession, principal_id: UUID) -> Principal | None:
    return await session.first(select(Principal).where(col(Principal.id) == principal_id))


async def find_person(session: ReadSession, name: str) -> Principal | None:
    statement = select(Principal).where(
        col(Principal.name) == name, col(Principal.kind) == "person"
    )
    return await session.first(statement)


async def find_member(session: ReadSession, project_id: UUID, name: str) -> Principal | None:
    """A person, or a service account of this project, by name; the account first."""
    statement = (
        select(Principal)
        .where(
            col(Principal.name) == name,
            col(Principal.kind) != "run",
            or_(col(Principal.project_id) == project_id, col(Principal.project_id).is_(None)),
        )
        .order_by(col(Principal.project_id).nulls_last())
    )
    return await session.first(statement)


async def list_persons(session: ReadSession) -> Sequence[Principal]:
    statement = select(Principal).where(col(Principal.kind) == "person")
    return await session.all(statement.order_by(col(Principal.name)))


async def list_service_accounts(session: ReadSession, project_id: UUID) -> Sequence[Principal]:
    return await session.all(
        scoped(Principal, project_id)
        .where(col(Principal.kind) == "service")
        .order_by(col(Principal.name))
    )


async def any_platform_admin(session: ReadSession) -> bool:
    statement = select(Principal).where(
        col(Principal.platform_admin).is_(True), col(Principal.disabled_at).is_(None)
    )
    return await session.first(statement) is not None


async def names_of(session: ReadSession, principal_ids: Sequence[UUID]) -> dict[UUID, str]:
    rows = await session.all(select(Principal).where(col(Principal.id).in_(principal_ids)))
    return {row.id: row.name for row in rows}


async def list_tokens(session: ReadSession, principal_id: UUID) -> Sequence[ApiToken]:
    statement = select(ApiToken).where(col(ApiToken.principal_id) == principal_id)
    return await session.all(statement.order_by(col(ApiToken.id)))


async def find_token(session: ReadSession, token_id: UUID) -> ApiToken | None:
    return await session.first(select(ApiToken).where(col(ApiToken.id) == token_id))


async def revoke_token(uow: UnitOfWork, token_id: UUID, *, by: UUID, at: datetime) -> bool:
    """False where it was revoked before."""
    statement = (
        update(ApiToken)
        .where(col(ApiToken.id) == token_id, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=at, revoked_by=by)
        .returning(col(ApiToken.id))
    )
    return len(await uow.execute(statement)) == 1


async def disable_principal(uow: UnitOfWork, principal_id: UUID, *, at: datetime) -> bool:
    statement = (
        update(Principal)
        .where(col(Principal.id) == principal_id, col(Principal.disabled_at).is_(None))
        .values(disabled_at=at)
        .returning(col(Principal.id))
    )
    return len(await uow.execute(statement)) == 1


async def find_run_principal(
    session: ReadSession, project_id: UUID, run_id: UUID
) -> Principal | None:
    found = await session.pick(
        Principal, "project_id = %s AND kind = 'run' AND run_id = %s", project_id, run_id
    )
    return next(iter(found), None)
