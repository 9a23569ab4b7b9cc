"""The link in a mail: a door that anybody may open, and the review behind it, once."""

from __future__ import annotations

from collections.abc import Awaitable

from fastapi import APIRouter, Request, Response

from animus.domain.errors import NotFound
from animus.domain.review_link_pages import DOOR_POLICY, write_door, write_over, write_unknown
from animus.domain.review_pages import POLICY, write_page
from animus.services import review_links
from animus.services.review_links import ReviewLinkOver
from api.callers import LinkHolder
from api.context import context_of
from api.requests import StrictRoute
from api.review_answers import PAGE, SAFE, preferred

router = APIRouter(prefix="/review-links", tags=["approvals"], route_class=StrictRoute)
_PAGES: dict[int | str, dict[str, object]] = {
    status: {"content": {PAGE: {"schema": {"type": "string"}}}, "description": said}
    for status, said in (
        (200, "A page"), (404, "There is no such link"), (410, "It was used, or has expired"),
    )
}  # fmt: skip


@router.get("/{token}", response_class=Response, responses=_PAGES)
async def open_review_link(_: LinkHolder, request: Request, token: str) -> Response:
    """A page with a button. Shows nothing of the review, and uses nothing up."""

    async def page() -> str:
        async with context_of(request).database.read() as session:
            await review_links.check_link(session, token)
        return write_door()

    return await _answer(request, page(), DOOR_POLICY)


@router.post("/{token}", response_class=Response, responses=_PAGES)
async def use_review_link(call: LinkHolder, request: Request, token: str) -> Response:
    """The review as a page, to the first who asks. Nobody can decide with it."""

    async def page() -> str:
        async with context_of(request).database.write() as uow:
            sealed = await review_links.use_link(uow, call, token)
        return write_page(sealed)

    return await _answer(request, page(), POLICY)


async def _answer(request: Request, page: Awaitable[str], policy: str) -> Response:
    """People get pages, also where there is nothing to see; programs get problem documents."""
    is_for_people = preferred(request.headers.get("accept", "")) == PAGE
    try:
        return _page(await page, policy)
    except NotFound:
        _slow_down(request)
        if not is_for_people:
            raise
        return _page(write_unknown(), DOOR_POLICY, status=404)
    except ReviewLinkOver as over:
        if not is_for_people:
            raise
        return _page(write_over(str(over.gate_id)), DOOR_POLICY, status=410)


def _slow_down(request: Request) -> None:
    """Who guesses links is limited by address, as whoever fails to sign in."""
    address = request.client.host if request.client is not None else "unknown"
    context = context_of(request)
    context.limiter.check(f"stranger/{address}", context.now())


def _page(content: str, policy: str, *, status: int = 200) -> Response:
    headers = SAFE | {"Content-Security-Policy": f"{policy}; frame-ancestors 'none'"}
    return Response(content.encode(), status, headers=headers, media_type=f"{PAGE}; charset=utf-8")
