"""The link of a real mail in a real browser without scripts: a button, the review once, then a word
about how to see it. Filters and previews that open it use nothing up; nobody decides with it."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

import httpx
import pytest

from tests.browser.driving import Window, window
from tests.browser.test_review_pages import NOT_OURS
from tests.notifications.desks import REASON, Desk

pytestmark = [pytest.mark.stack, pytest.mark.browser]

OPENED = "Your decision is asked"
PEOPLE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def link_to(desk: Desk, role: str) -> str:
    mail = await desk.mail.mail(desk.address(role), OPENED)
    (link,) = re.findall(r"^\s*(http\S+/review-links/\S+)\s*$", mail.get_content(), re.MULTILINE)
    return str(link)


async def uses(desk: Desk, run: str) -> int:
    ((count,),) = await desk.installation.query(
        "SELECT count(*) FROM audit_events WHERE run_id = %s AND action = 'review_link.used'", run
    )
    return int(count)


def check_harmless(page: str, digest: str) -> None:
    """Neither the review nor a way to anything."""
    assert digest not in page
    assert not NOT_OURS.search(page)


async def test_a_person_sees_the_review_once_and_then_how_to_see_it(
    desk: Desk, chromium: str, tmp_path: Path
) -> None:
    run = await desk.submit()
    gate = await desk.gate(run)
    digest = gate["review_digest"].removeprefix("sha256:")
    link = await link_to(desk, "reviewer")
    with window(chromium, tmp_path / "profile") as browser:
        door = browser.open(link)
        assert digest not in door
        assert door.count("<form") == door.count("<button") == 1
        assert "<script" not in door
        review = browser.press("button")
        assert digest in review
        assert escape(REASON) in review
        assert not NOT_OURS.search(review)  # no form, no link, no script: nothing decides here
        for over in (browser.reload(), browser.open(link)):
            assert "This link is over" in over
            assert f"animus approvals show {gate['id']}" in over
            check_harmless(over, digest)
        _check_asked(browser, link)
    assert await uses(desk, run) == 1
    again = await desk.gate(run)
    assert (again["closing"], again["decisions"]) == (None, [])
    await desk.cancel(run)


async def test_filters_and_previews_that_come_first_use_nothing_up(
    desk: Desk, chromium: str, tmp_path: Path
) -> None:
    run = await desk.submit()
    digest = (await desk.gate(run))["review_digest"].removeprefix("sha256:")
    link = await link_to(desk, "second")
    async with httpx.AsyncClient(trust_env=False, headers=PEOPLE) as scanner:
        for method, headers in (
            ("HEAD", {}), ("OPTIONS", {}), ("GET", {}), ("GET", {"sec-purpose": "prefetch"}),
            ("GET", {"range": "bytes=0-100"}), ("GET", {"accept": "*/*"}),
        ):  # fmt: skip
            answer = await scanner.request(method, link, headers=headers)
            assert answer.status_code == (200 if method == "GET" else 405)
            assert digest not in answer.text
    with window(chromium, tmp_path / "scanner") as unfurled:
        unfurled.open(link)  # a preview is made by a browser too, which presses nothing
    assert await uses(desk, run) == 0
    with window(chromium, tmp_path / "profile") as browser:
        browser.open(link)
        assert digest in browser.press("button")
    assert await uses(desk, run) == 1
    await desk.cancel(run)


async def test_a_link_that_was_cut_or_whose_person_lost_the_role_says_so(
    desk: Desk, chromium: str, tmp_path: Path
) -> None:
    run = await desk.submit()
    gate = await desk.gate(run)
    digest = gate["review_digest"].removeprefix("sha256:")
    link = await link_to(desk, "reviewer")
    bindings = await desk.installation.admin.get(f"{desk.path}/role-bindings")
    (binding,) = [
        one["id"] for one in bindings if one["principal_id"] == desk.people["reviewer"].id
    ]
    with window(chromium, tmp_path / "profile") as browser:
        cut = browser.open(link[:-3])
        assert "No such link" in cut
        assert "<form" in browser.open(link)
        await desk.installation.admin.post(f"{desk.path}/role-bindings/{binding}:revoke")
        over = browser.press("button")  # the right went while the page was open
        assert "This link is over" in over
        assert gate["id"] in over
        for page in (cut, over):
            check_harmless(page, digest)
    assert await uses(desk, run) == 0
    await desk.cancel(run)


def _check_asked(browser: Window, link: str) -> None:
    """Of us alone, and nothing but the link itself."""
    there = {(method, address) for method, address in browser.asked if address != "about:blank"}
    assert {address for _, address in there} <= {link, link[: link.index("/api/")] + "/favicon.ico"}
    assert {method for method, address in there if address == link} == {"GET", "POST"}
