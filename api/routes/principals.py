"""Persons, tokens, who am I, and the first start."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request

from animus.domain.ids import PrincipalId, TokenId
from animus.services import mail_addresses, principals
from animus.services.principals import IssuedToken, PrincipalView
from animus.store.database import ReadSession
from api.callers import Anyone, PlatformAdmin, SignedIn, SignedInPerson, bearer
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.schemas.access import (
    Bootstrap,
    CreatePerson,
    IssueToken,
    MailAddressOut,
    PrincipalOut,
    SetMailAddress,
    TokenOut,
    WhoAmI,
)

router = APIRouter(tags=["principals"], route_class=StrictRoute)


@router.post("/bootstrap", status_code=201)
async def bootstrap(call: Anyone, request: Request, body: Bootstrap) -> TokenOut:
    """Spend the one-time token of the first start: the first platform administrator."""
    token = bearer(request)
    async with context_of(request).database.write() as uow:
        issued = await principals.bootstrap(
            uow, call, token=token, name=body.name, display_name=body.display_name
        )
    return TokenOut.issued(issued)


@router.get("/whoami")
async def who_am_i(call: SignedIn) -> WhoAmI:
    return WhoAmI.of(call.by)


@router.post("/principals", status_code=201, openapi_extra=IDEMPOTENT)
async def create_person(call: PlatformAdmin, request: Request, body: CreatePerson) -> PrincipalOut:
    async def rebuild(session: ReadSession, entity_id: str) -> PrincipalView:
        return await principals.get_principal(session, PrincipalId(UUID(entity_id)))

    created = await creating(
        request,
        call,
        lambda uow: principals.create_person(
            uow, call,
            name=body.name, display_name=body.display_name, platform_admin=body.platform_admin,
        ),
        rebuild=rebuild,
        entity_id=lambda view: view.id,
    )  # fmt: skip
    return PrincipalOut.model_validate(created)


@router.get("/principals")
async def list_persons(_: PlatformAdmin, request: Request) -> list[PrincipalOut]:
    async with context_of(request).database.read() as session:
        found = await principals.list_persons(session)
    return [PrincipalOut.model_validate(view) for view in found]


@router.get("/principals/{principal_id}/address")
async def get_mail_address(
    _: PlatformAdmin, request: Request, principal_id: UUID
) -> MailAddressOut:
    async with context_of(request).database.read() as session:
        view = await mail_addresses.get_address(session, PrincipalId(principal_id))
    return MailAddressOut.model_validate(view)


@router.post("/principals/{principal_id}/address:set")
async def set_mail_address(
    call: PlatformAdmin, request: Request, principal_id: UUID, body: SetMailAddress
) -> MailAddressOut:
    """Where a person is told of gates and runs by mail. Null: nowhere any more."""
    async with context_of(request).database.write() as uow:
        view = await mail_addresses.set_address(
            uow, call, PrincipalId(principal_id), address=body.address
        )
    return MailAddressOut.model_validate(view)


@router.post("/principals/{principal_id}:disable")
async def disable_person(call: PlatformAdmin, request: Request, principal_id: UUID) -> PrincipalOut:
    async with context_of(request).database.write() as uow:
        view = await principals.disable_principal(uow, call, PrincipalId(principal_id))
    return PrincipalOut.model_validate(view)


@router.post("/principals/{principal_id}/tokens", status_code=201, openapi_extra=IDEMPOTENT)
async def issue_person_token(
    call: PlatformAdmin, request: Request, principal_id: UUID, body: IssueToken
) -> TokenOut:
    created = await creating(
        request,
        call,
        lambda uow: principals.issue_token(
            uow, call, PrincipalId(principal_id), name=body.name, life=timedelta(days=body.days)
        ),
        rebuild=rebuild_token,
        entity_id=lambda issued: issued.view.id,
    )
    return TokenOut.issued(created)


@router.post("/tokens", status_code=201, openapi_extra=IDEMPOTENT)
async def issue_own_token(call: SignedInPerson, request: Request, body: IssueToken) -> TokenOut:
    """For persons; a service account's tokens are issued by who answers for it."""
    created = await creating(
        request,
        call,
        lambda uow: principals.issue_token(
            uow, call, call.by.principal_id, name=body.name, life=timedelta(days=body.days)
        ),
        rebuild=rebuild_token,
        entity_id=lambda issued: issued.view.id,
    )
    return TokenOut.issued(created)


@router.get("/tokens")
async def list_own_tokens(call: SignedIn, request: Request) -> list[TokenOut]:
    async with context_of(request).database.read() as session:
        found = await principals.list_tokens(session, call.by.principal_id)
    return [TokenOut.model_validate(view) for view in found]


@router.post("/tokens/{token_id}:revoke")
async def revoke_token(call: SignedIn, request: Request, token_id: UUID) -> TokenOut:
    """One's own, one of an account one answers for, or any as platform administrator."""
    async with context_of(request).database.write() as uow:
        view = await principals.revoke_token(uow, call, TokenId(token_id))
    return TokenOut.model_validate(view)


async def rebuild_token(session: ReadSession, entity_id: str) -> IssuedToken:
    """The token that was issued before; its secret was shown then, and is not kept."""
    view = await principals.get_token(session, TokenId(UUID(entity_id)))
    return IssuedToken(view=view, secret=None)
