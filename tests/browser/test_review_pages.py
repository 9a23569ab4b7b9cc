"""The review page in Chromium: hostile text is text, nothing runs, nothing is loaded, it prints."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from animus.domain.review_pages import write_page
from animus.domain.reviews import MAX_SHOWN
from animus.services.review_notes import notes_of
from api.review_answers import SAFE
from tests.browser.conftest import SECONDS, Browse, Site
from tests.support.review_views import view_of
from tests.support.reviews import CASES, HOSTILE, sealed

pytestmark = pytest.mark.browser

Serve = Callable[[str, dict[str, str]], Site]
MARK = "<p id=injected>script ran</p>"
SCRIPT = f"<script>document.body.insertAdjacentHTML('beforeend', '{MARK}')</script>"
NOT_OURS = re.compile(r"<(script|img|iframe|object|embed|form|link|base|svg|a)\b", re.IGNORECASE)


def body_of(document: str) -> str:
    return document[document.index("<body>") :]


@pytest.mark.parametrize("case", CASES)
def test_the_browser_builds_our_elements_and_asks_for_nothing(
    browse: Browse, serve: Serve, case: str
) -> None:
    site = serve(write_page(sealed(case)), SAFE)
    document = browse(site.url)
    assert not NOT_OURS.search(document)
    assert " onerror=" not in re.sub(r">[^<]*<", "><", document)  # of tags, not of text
    assert set(site.asked) <= {"/", "/favicon.ico"}
    assert sealed(case).digest.hex() in body_of(document)


def test_hostile_text_is_shown_as_text(browse: Browse, serve: Serve) -> None:
    document = body_of(browse(serve(write_page(sealed("hostile")), SAFE).url))
    assert "\\x1b[2J\\x1b]0;owned\\x07\\u202egnp.exe\\u2066\\u200b\\u3164" in document
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in document
    assert all(char == "\n" or char.isprintable() for char in document)


def test_hostile_questions_beside_a_review_are_text_too(browse: Browse, serve: Serve) -> None:
    notes = notes_of(view_of("hostile", HOSTILE, answer=HOSTILE))
    site = serve(write_page(sealed("hostile"), notes), SAFE)
    document = browse(site.url)
    assert not NOT_OURS.search(document)
    assert set(site.asked) <= {"/", "/favicon.ico"}
    beside = document[document.index("Questions and answers") :]
    assert beside.count("\\x1b[2J\\x1b]0;owned") == 2
    assert beside.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2


def test_ten_thousand_changed_files_are_a_short_page(browse: Browse, serve: Serve) -> None:
    document = body_of(browse(serve(write_page(sealed("many_files")), SAFE).url))
    assert document.count("&lt;b&gt;new\\u202e/") == MAX_SHOWN - 1  # and the version
    assert "5,000 added, 5,000 removed" in document


def test_a_page_without_our_care_would_have_run_and_loaded_it(browse: Browse, serve: Serve) -> None:
    """The control: what the tests above look for is seen when it happens."""
    careless = f"<html><head></head><body>{HOSTILE.partition('<script')[0]}<img src=x>{SCRIPT}"
    site = serve(careless, {})
    document = browse(site.url)
    assert MARK.replace("id=injected", 'id="injected"') in document
    assert NOT_OURS.search(document)
    assert "/x" in site.asked


def test_even_markup_that_slipped_through_would_neither_run_nor_load(
    browse: Browse, serve: Serve
) -> None:
    """The second wall: the policy, in the answer and in the page itself."""
    page = write_page(sealed("hostile")).replace("</main>", f"<img src=x>{SCRIPT}</main>")
    for headers in (SAFE, {}):
        site = serve(page, headers)
        document = browse(site.url)
        assert "injected" not in document.replace(SCRIPT, "")
        assert "/x" not in site.asked


def test_our_own_style_is_in_force(browse: Browse, serve: Serve) -> None:
    """Its hash in the policy is right: a page that was printed without it would be another one."""
    page = write_page(sealed("changed"))
    unstyled = re.sub(r"<style>.*</style>", "", page, flags=re.DOTALL)
    assert _width_of(browse, serve, page) != _width_of(browse, serve, unstyled)


def _width_of(browse: Browse, serve: Serve, page: str) -> str:
    """Of the body as it is laid out; only the test's own page may run the script that says it."""
    measure = "<script>document.title = getComputedStyle(document.body).maxWidth</script>"
    allowed = page.replace("style-src", "script-src 'unsafe-inline'; style-src")
    document = browse(serve(allowed.replace("</main>", f"{measure}</main>"), {}).url)
    return document[document.index("<title>") : document.index("</title>")]


def test_it_prints(chromium: str, tmp_path: Path) -> None:
    page, pdf = tmp_path / "review.html", tmp_path / "review.pdf"
    page.write_text(write_page(sealed("changed")))
    subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={pdf}", page.as_uri(),
        ],
        capture_output=True, timeout=SECONDS, check=True,
    )  # fmt: skip
    assert pdf.read_bytes().startswith(b"%PDF-")
