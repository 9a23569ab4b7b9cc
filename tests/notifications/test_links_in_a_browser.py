"""The link of a real mail in a real browser without scripts: a button, the review once, then a word
about how to see it. Filters and previews that open it use nothing up; nobody decides with it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a decision is asked on, and the link to it in the mail."""

    run: str
    gate_id: str
    digest: str
    link: str


@asynccontextmanager
async def asked(desk: Desk, role: str) -> AsyncIterator[Asked]:
    run = await desk.submit()
    gate = await desk.gate(run)
    mail = await desk.mail.mail(desk.address(role), OPENED)
    (link,) = re.findall(r"^\s*(http\S+/review-links/\S+)\s*$", mail.get_content(), re.MULTILINE)
    digest = gate["review_digest"].removeprefix("sha256:")
    yield Asked(run=run, gate_id=gate["id"], digest=digest, link=link)
    await desk.cancel(run)


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
    async with asked(desk, "reviewer") as one:
        with window(chromium, tmp_path / "profile") as browser:
            door = browser.open(one.link)
            assert one.digest not in door
            assert door.count("<form") == door.count("<button") == 1
            assert "<script" not in door
            review = browser.press("button")
            assert one.digest in review
            assert escape(REASON) in review
            assert not NOT_OURS.search(review)  # no form, no link, no script: nothing decides here
            for over in (browser.reload(), browser.open(one.link)):
                assert "This link is over" in over
                assert f"animus approvals show {one.gate_id}" in over
                check_harmless(over, one.digest)
            _check_asked(browser, one.link)
        assert await uses(desk, one.run) == 1
        gate = await desk.gate(one.run)
        assert (gate["closing"], gate["decisions"]) == (None, [])


async def test_filters_and_previews_that_come_first_use_nothing_up(
    desk: Desk, chromium: str, tmp_path: Path
) -> None:
    async with asked(desk, "second") as one:
        async with httpx.AsyncClient(trust_env=False, headers=PEOPLE) as scanner:
            for method, headers in (
                ("HEAD", {}), ("OPTIONS", {}), ("GET", {}), ("GET", {"sec-purpose": "prefetch"}),
                ("GET", {"range": "bytes=0-100"}), ("GET", {"accept": "*/*"}),
            ):  # fmt: skip
                answer = await scanner.request(method, one.link, headers=headers)
                assert answer.status_code == (200 if method == "GET" else 405)
                assert one.digest not in answer.text
        with window(chromium, tmp_path / "scanner") as unfurled:
            unfurled.open(one.link)  # a preview is made by a browser too, which presses nothing
        assert await uses(desk, one.run) == 0
        with window(chromium, tmp_path / "profile") as browser:
            browser.open(one.link)
            assert one.digest in browser.press("button")
        assert await uses(desk, one.run) == 1


async def test_a_link_that_was_cut_or_whose_person_lost_the_role_says_so(
    desk: Desk, chromium: str, tmp_path: Path
) -> None:
    bindings = await desk.installation.admin.get(f"{desk.path}/role-bindings")
    (binding,) = [
        one["id"] for one in bindings if one["principal_id"] == desk.people["reviewer"].id
    ]
    async with asked(desk, "reviewer") as one:
        with window(chromium, tmp_path / "profile") as browser:
            cut = browser.open(one.link[:-3])
            assert "No such link" in cut
            assert "<form" in browser.open(one.link)
            await desk.installation.admin.post(f"{desk.path}/role-bindings/{binding}:revoke")
            over = browser.press("button")  # the right went while the page was open
            assert "This link is over" in over
            assert one.gate_id in over
            for page in (cut, over):
                check_harmless(page, one.digest)
        assert await uses(desk, one.run) == 0


def _check_asked(browser: Window, link: str) -> None:
    """Of us alone, and nothing but the link itself."""
    there = {(method, address) for method, address in browser.asked if address != "about:blank"}
    assert {address for _, address in there} <= {link, link[: link.index("/api/")] + "/favicon.ico"}
    assert {method for method, address in there if address == link} == {"GET", "POST"}
