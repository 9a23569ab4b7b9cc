"""Who may call a route: the first argument of each, and a type. Deny by default.

A route without one of these types fails `tests/api/test_unauthorised.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Request

from animus.domain.access import (
    Actor,
    Permission,
    PrincipalKind,
    check_permission,
    check_platform_admin,
)
from animus.domain.errors import Forbidden, Hidden, Unauthenticated
from animus.domain.ids import PrincipalId, ProjectId
from animus.services.calls import Call
from animus.services.claims import AttemptAccess, authenticate_attempt
from animus.services.principals import authenticate
from animus.services.runs import RunTokenScope
from api.context import Context, context_of

SCHEME = "bearer "


def bearer(request: Request) -> str:
    header: str = request.headers.get("authorization", "")
    if not header.lower().startswith(SCHEME):
        raise Unauthenticated("Sign in: send 'Authorization: Bearer <token>'.")
    return header[len(SCHEME) :].strip()


F = TypeVar("F", bound=Callable[..., Any])


def declares(access: str) -> Callable[[F], F]:
    """Marks a dependency with the access it demands, for the OpenAPI document and the tests."""

    def mark(function: F) -> F:
        function.access = access  # type: ignore[attr-defined]  # read by api.app
        return function

    return mark


def _requires(*accepted: Permission, or_run_token: bool = False) -> Any:
    said = "project:" + "|".join(accepted) + ("|run_token" if or_run_token else "")

    @declares(said)
    async def check(request: Request, project_id: UUID) -> Call:
        call = await _authenticated(request, ProjectId(project_id))
        if call.by.kind is PrincipalKind.RUN:
            _check_run_token(call.by, project_id, allowed=or_run_token)
        else:
            check_permission(call.by, *accepted)
        return call

    return Depends(check)


def _check_run_token(actor: Actor, project_id: UUID, *, allowed: bool) -> None:
    if actor.project_id != project_id:
        raise Hidden("project", str(project_id))
    if not allowed:
        raise RunTokenScope("A run token logs metrics and artifacts of its run, nothing else.")


@declares("signed_in")
async def _signed_in(request: Request) -> Call:
    call = await _authenticated(request, None)
    if call.by.kind is PrincipalKind.RUN:
        raise RunTokenScope("A run token logs metrics and artifacts of its run, nothing else.")
    return call


@declares("person")
async def _person(request: Request) -> Call:
    call = await _signed_in(request)
    if call.by.kind is not PrincipalKind.PERSON:
        raise Forbidden("This is for persons. Ask who answers for this account to do it.")
    return call


@declares("platform_admin")
async def _platform_admin(request: Request) -> Call:
    call = await _signed_in(request)
    check_platform_admin(call.by)
    return call


@declares("project:platform_admin")
async def _overseer(request: Request, project_id: UUID) -> Call:
    """A platform administrator; to whom may not know of the project there is none."""
    call = await _authenticated(request, ProjectId(project_id))
    if call.by.kind is PrincipalKind.RUN:
        _check_run_token(call.by, project_id, allowed=False)
    check_permission(call.by, *Permission)
    check_platform_admin(call.by)
    return call


@declares("agent")
async def _agent(request: Request) -> Call:
    """A service account; whether it is the agent of the order's cluster, the claim checks."""
    call = await _signed_in(request)
    if call.by.kind is not PrincipalKind.SERVICE:
        raise Forbidden("This is for the agents of clusters.")
    return call


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptCall:
    access: AttemptAccess
    call: Call


@declares("attempt_token")
async def _attempt(request: Request) -> AttemptCall:
    context = context_of(request)
    now = context.now()
    with _strangers_limited(request):
        async with context.database.read() as session:
            access, principal_id = await authenticate_attempt(session, bearer(request), now=now)
    actor = _attempt_actor(access, principal_id)
    request.state.actor = actor
    context.limiter.check(str(access.attempt_id), now)
    call = Call(actor=actor, request_id=request.state.request_id, now=now)
    return AttemptCall(access=access, call=call)


def _attempt_actor(access: AttemptAccess, principal_id: PrincipalId) -> Actor:
    return Actor(
        principal_id=principal_id,
        person_id=access.person_id,
        kind=PrincipalKind.RUN,
        name="attempt",
        project_id=access.project_id,
        run_id=access.run_id,
        attempt_id=access.attempt_id,
    )


@declares("public")
async def _anyone(request: Request) -> Call:
    return Call(actor=None, request_id=request.state.request_id, now=context_of(request).now())


@declares("review_link")
async def _link_holder(request: Request) -> Call:
    """Whoever has the link: its token is in the address, and the service looks for it."""
    return Call(actor=None, request_id=request.state.request_id, now=context_of(request).now())


async def _authenticated(request: Request, project_id: ProjectId | None) -> Call:
    context: Context = context_of(request)
    now = context.now()
    with _strangers_limited(request):
        token = bearer(request)
        actor = await authenticate(context.database, token, project_id=project_id, now=now)
    request.state.actor = actor
    context.limiter.check(str(actor.principal_id), now)
    return Call(actor=actor, request_id=request.state.request_id, now=now)


@contextmanager
def _strangers_limited(request: Request) -> Iterator[None]:
    """Who fails to sign in is limited by address; it costs nobody else anything."""
    try:
        yield
    except Unauthenticated:
        address = request.client.host if request.client is not None else "unknown"
        context = context_of(request)
        context.limiter.check(f"stranger/{address}", context.now())
        raise


Reader = Annotated[Call, _requires(Permission.READ)]
ReaderOrStep = Annotated[Call, _requires(Permission.READ, or_run_token=True)]
MemberReader = Annotated[Call, _requires(Permission.READ, Permission.ADMINISTER)]
Editor = Annotated[Call, _requires(Permission.EDIT)]
EditorOrStep = Annotated[Call, _requires(Permission.EDIT, or_run_token=True)]
Administrator = Annotated[Call, _requires(Permission.ADMINISTER)]
Confirmer = Annotated[Call, _requires(Permission.CONFIRM)]
AuditReader = Annotated[Call, _requires(Permission.AUDIT)]
SignedIn = Annotated[Call, Depends(_signed_in)]
SignedInPerson = Annotated[Call, Depends(_person)]
PlatformAdmin = Annotated[Call, Depends(_platform_admin)]
Overseer = Annotated[Call, Depends(_overseer)]
Agent = Annotated[Call, Depends(_agent)]
AttemptHolder = Annotated[AttemptCall, Depends(_attempt)]
Anyone = Annotated[Call, Depends(_anyone)]
LinkHolder = Annotated[Call, Depends(_link_holder)]
