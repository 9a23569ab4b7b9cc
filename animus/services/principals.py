"""Persons, service accounts and their tokens; who is behind a token."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from animus.domain.access import Actor, PrincipalKind, Role
from animus.domain.errors import (
    Conflict,
    CredentialRefused,
    Forbidden,
    Hidden,
    Invalid,
    NotFound,
)
from animus.domain.ids import AttemptId, PersonId, PrincipalId, ProjectId, RunId, TokenId
from animus.domain.tokens import (
    ENTROPY_BYTES,
    TokenKind,
    make_token,
    read_kind,
    token_hash,
    token_hint,
)
from animus.services.calls import Call, record
from animus.services.secret_checks import check_texts
from animus.store import principals
from animus.store.database import Plain, ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.tables import ApiToken, Principal

DEFAULT_TOKEN_LIFE = timedelta(days=90)
LONGEST_TOKEN_LIFE = timedelta(days=365)
BOOTSTRAP_LIFE = timedelta(days=7)


class AlreadyBootstrapped(Conflict):
    code = "already_bootstrapped"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalView:
    id: PrincipalId
    kind: PrincipalKind
    name: str
    display_name: str
    person_id: PersonId
    project_id: ProjectId | None
    platform_admin: bool
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    id: TokenId
    principal_id: PrincipalId
    kind: TokenKind
    name: str
    hint: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """The only moment at which the secret exists outside its holder's hands."""

    view: TokenView
    secret: str | None
    """None where the token was issued by an earlier, equal request."""


async def authenticate(
    plain: Plain, token: str, *, project_id: ProjectId | None, now: datetime
) -> Actor:
    """The caller behind a bearer token, with the roles held on `project_id`.

    Raises `CredentialRefused` for unknown, expired and revoked tokens alike.
    """
    match read_kind(token):
        case TokenKind.PERSONAL | TokenKind.SERVICE:
            return await _api_caller(plain, token, project_id=project_id, now=now)
        case TokenKind.RUN:
            return await _step_caller(plain, token, now=now)
        case TokenKind.BOOTSTRAP | TokenKind.ATTEMPT | TokenKind.REVIEW_LINK:
            raise CredentialRefused("This token is for one purpose only, and not for this one.")


async def _api_caller(
    plain: Plain, token: str, *, project_id: ProjectId | None, now: datetime
) -> Actor:
    found = await principals.find_token_holder(
        plain, token_hash(token), project_id=project_id, now=now
    )
    if found is None:
        raise CredentialRefused("The token is unknown, expired or revoked. Sign in again.")
    return Actor(
        principal_id=PrincipalId(found.principal_id),
        person_id=PersonId(found.person_id),
        kind=PrincipalKind(found.kind),
        name=found.name,
        platform_admin=found.platform_admin,
        project_id=project_id,
        roles=frozenset(Role(role) for role in found.roles),
    )


async def _step_caller(plain: Plain, token: str, *, now: datetime) -> Actor:
    held = await principals.find_attempt_token(plain, token_hash(token), now=now)
    if held is None or held.scope != "run":
        raise CredentialRefused("The run token is unknown, expired or revoked.")
    return Actor(
        principal_id=PrincipalId(held.principal_id),
        person_id=PersonId(held.person_id),
        kind=PrincipalKind.RUN,
        name=held.name,
        project_id=ProjectId(held.project_id),
        run_id=RunId(held.run_id),
        attempt_id=AttemptId(held.attempt_id),
    )


async def create_person(
    uow: UnitOfWork, call: Call, *, name: str, display_name: str, platform_admin: bool
) -> PrincipalView:
    check_texts(name=name, display_name=display_name)
    if await principals.find_person(uow, name) is not None:
        raise Conflict(f"There is a person {name!r} already.")
    person = _person(name, display_name, platform_admin=platform_admin, by=call.by.principal_id)
    uow.add(person)
    await uow.flush()
    record(
        uow, call, "principal.created",
        subjects={"principal": person.id},
        payload={"name": name, "kind": "person", "platform_admin": platform_admin},
    )  # fmt: skip
    return view_of(person)


def _person(name: str, display_name: str, *, platform_admin: bool, by: UUID | None) -> Principal:
    person_id = new_id()
    return Principal(
        id=person_id,
        kind=PrincipalKind.PERSON,
        name=name,
        display_name=display_name or name,
        person_id=person_id,
        platform_admin=platform_admin,
        created_by=by,
    )


async def list_persons(session: ReadSession) -> Sequence[PrincipalView]:
    return [view_of(row) for row in await principals.list_persons(session)]


async def get_principal(session: ReadSession, principal_id: PrincipalId) -> PrincipalView:
    found = await principals.find_principal(session, principal_id)
    if found is None:
        raise NotFound("principal", str(principal_id))
    return view_of(found)


async def disable_principal(
    uow: UnitOfWork, call: Call, principal_id: PrincipalId
) -> PrincipalView:
    """From now on neither it nor what it answers for can call; what it did stays its own."""
    if principal_id == call.by.principal_id:
        raise Conflict("You cannot disable yourself. Ask another administrator.")
    await get_principal(uow, principal_id)
    if await principals.disable_principal(uow, principal_id, at=call.now):
        record(uow, call, "principal.disabled", subjects={"principal": principal_id})
    return await get_principal(uow, principal_id)


async def create_service_account(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    *,
    name: str,
    display_name: str,
    accountable: str | None,
) -> PrincipalView:
    """A service account of the project; `accountable` is the person who answers for it."""
    check_texts(name=name, display_name=display_name)
    person_id = await _accountable_person(uow, call, accountable)
    account = Principal(
        id=new_id(),
        kind=PrincipalKind.SERVICE,
        name=name,
        display_name=display_name or name,
        person_id=person_id,
        project_id=project_id,
        created_by=call.by.principal_id,
    )
    uow.add(account)
    await uow.flush()
    record(
        uow, call, "service_account.created",
        project_id=project_id,
        subjects={"principal": account.id},
        payload={"name": name, "accountable": str(person_id)},
    )  # fmt: skip
    return view_of(account)


async def _accountable_person(uow: UnitOfWork, call: Call, name: str | None) -> UUID:
    if name is None:
        return call.by.person_id
    if not call.by.platform_admin:
        raise Forbidden("You answer for the accounts you create; a platform admin names others.")
    person = await principals.find_person(uow, name)
    if person is None or person.kind != PrincipalKind.PERSON:
        raise NotFound("person", name)
    return person.id


async def list_service_accounts(
    session: ReadSession, project_id: ProjectId
) -> Sequence[PrincipalView]:
    return [view_of(row) for row in await principals.list_service_accounts(session, project_id)]


async def issue_token(
    uow: UnitOfWork,
    call: Call,
    principal_id: PrincipalId,
    *,
    name: str,
    life: timedelta | None,
    project_id: ProjectId | None = None,
) -> IssuedToken:
    """A token for a person or a service account; `project_id` limits whose account it may be.

    Persons issue tokens: an account that renewed its own could not be taken back by expiry.
    """
    if call.by.kind is not PrincipalKind.PERSON:
        raise Forbidden("Persons issue tokens. Ask who answers for this account for a new one.")
    check_texts(name=name)
    holder = await principals.find_principal(uow, principal_id)
    if holder is None or (project_id is not None and holder.project_id != project_id):
        raise NotFound("principal", str(principal_id))
    if holder.kind == PrincipalKind.RUN or holder.disabled_at is not None:
        raise Conflict("This principal takes no token.")
    if project_id is not None and holder.person_id != call.by.person_id:
        _check_platform_admin(call)
    life = life or DEFAULT_TOKEN_LIFE
    if not timedelta(0) < life <= LONGEST_TOKEN_LIFE:
        raise Invalid(f"A token lives at most {LONGEST_TOKEN_LIFE.days} days.")
    kind = TokenKind.PERSONAL if holder.kind == PrincipalKind.PERSON else TokenKind.SERVICE
    issued = _issue(uow, call, principal_id=holder.id, kind=kind, name=name, life=life)
    await uow.flush()
    record(
        uow, call, "token.issued",
        project_id=project_id,
        subjects={"principal": holder.id, "token": issued.view.id},
        payload={"name": name, "hint": issued.view.hint},
    )  # fmt: skip
    return issued


def _check_platform_admin(call: Call) -> None:
    if not call.by.platform_admin:
        raise Forbidden("Whoever answers for the account issues its tokens, or a platform admin.")


def _issue(
    uow: UnitOfWork,
    call: Call,
    *,
    principal_id: UUID,
    kind: TokenKind,
    name: str,
    life: timedelta,
) -> IssuedToken:
    secret = make_token(kind, secrets.token_bytes(ENTROPY_BYTES))
    token = ApiToken(
        id=new_id(),
        principal_id=principal_id,
        kind=kind,
        name=name,
        hint=token_hint(secret),
        token_hash=token_hash(secret),
        created_by=call.actor.principal_id if call.actor else None,
        created_at=call.now,
        expires_at=call.now + life,
    )
    uow.add(token)
    return IssuedToken(view=_token_view(token), secret=secret)


async def list_tokens(session: ReadSession, principal_id: PrincipalId) -> Sequence[TokenView]:
    return [_token_view(row) for row in await principals.list_tokens(session, principal_id)]


async def get_token(session: ReadSession, token_id: TokenId) -> TokenView:
    found = await principals.find_token(session, token_id)
    if found is None:
        raise NotFound("token", str(token_id))
    return _token_view(found)


async def revoke_token(uow: UnitOfWork, call: Call, token_id: TokenId) -> TokenView:
    """One's own token, one that one's person answers for, or any as platform administrator."""
    token = await get_token(uow, token_id)
    holder = await get_principal(uow, token.principal_id)
    mine = call.by.person_id == holder.person_id
    if not mine and not call.by.platform_admin:
        raise Hidden("token", str(token_id))
    if await principals.revoke_token(uow, token_id, by=call.by.principal_id, at=call.now):
        record(
            uow, call, "token.revoked",
            project_id=holder.project_id,
            subjects={"principal": holder.id, "token": token_id},
        )  # fmt: skip
    return await get_token(uow, token_id)


async def prepare_bootstrap(uow: UnitOfWork, call: Call) -> str | None:
    """The one-time token of a platform without an administrator; None once there is one.

    Asking again revokes the token of before: only the last one printed works.
    """
    if await principals.any_platform_admin(uow):
        return None
    placeholder = await principals.find_person(uow, "bootstrap")
    if placeholder is None:
        placeholder = _person("bootstrap", "First start", platform_admin=False, by=None)
        uow.add(placeholder)
        await uow.flush()
    for token in await principals.list_tokens(uow, placeholder.id):
        await principals.revoke_token(uow, token.id, by=placeholder.id, at=call.now)
    issued = _issue(
        uow, call, principal_id=placeholder.id, kind=TokenKind.BOOTSTRAP, name="first start",
        life=BOOTSTRAP_LIFE,
    )  # fmt: skip
    record(uow, call, "bootstrap.prepared", subjects={"token": issued.view.id})
    return issued.secret


async def bootstrap(
    uow: UnitOfWork, call: Call, *, token: str, name: str, display_name: str
) -> IssuedToken:
    """Spend the bootstrap token: the first platform administrator and a token for them."""
    if read_kind(token) is not TokenKind.BOOTSTRAP:
        raise Forbidden("This needs the one-time bootstrap token that the first start printed.")
    check_texts(name=name, display_name=display_name)
    await uow.lock("bootstrap")
    found = await principals.find_token_holder(
        uow, token_hash(token), project_id=None, now=call.now
    )
    if found is None or await principals.any_platform_admin(uow):
        raise AlreadyBootstrapped("The bootstrap token was used, has expired or was replaced.")
    placeholder = found.principal_id
    await principals.revoke_token(uow, found.token_id, by=placeholder, at=call.now)
    admin = _person(name, display_name, platform_admin=True, by=placeholder)
    uow.add(admin)
    await uow.flush()
    issued = _issue(
        uow, call, principal_id=admin.id, kind=TokenKind.PERSONAL, name="bootstrap",
        life=DEFAULT_TOKEN_LIFE,
    )  # fmt: skip
    record(
        uow, call, "platform.bootstrapped",
        subjects={"principal": admin.id, "token": issued.view.id}, payload={"name": name},
    )  # fmt: skip
    return issued


def view_of(row: Principal) -> PrincipalView:
    return PrincipalView(
        id=PrincipalId(row.id),
        kind=PrincipalKind(row.kind),
        name=row.name,
        display_name=row.display_name,
        person_id=PersonId(row.person_id),
        project_id=ProjectId(row.project_id) if row.project_id else None,
        platform_admin=row.platform_admin,
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


def _token_view(row: ApiToken) -> TokenView:
    return TokenView(
        id=TokenId(row.id),
        principal_id=PrincipalId(row.principal_id),
        kind=TokenKind(row.kind),
        name=row.name,
        hint=row.hint,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
