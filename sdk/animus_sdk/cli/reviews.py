"""A review document on a terminal: the words that were given, set in lines; none of our own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from animus_sdk.cli.gates import decision_words
from animus_sdk.cli.questions import show_questions
from animus_sdk.cli.screens import TEXT_WIDTH, Screen, styled
from animus_sdk.cli.wording import time_words
from animus_sdk.cli.wrapped_lines import set_lines
from animus_sdk.errors import FileUnfit
from animus_sdk.printable import printable
from animus_sdk.reviews import SeenReview
from animus_sdk.wire.views import ReviewListing, ReviewSection

_SIGNS = (("before", "- {}", "red"), ("after", "+ {}", "green"), ("note", "({})", "dim"))
Line = tuple[str, str]
"""Text and style."""


def show_review(screen: Screen, review: SeenReview) -> None:
    for text, style in review_lines(review, width=screen.text_width):
        screen.line(styled(text, style))
    _show_beside(screen, review)


def write_page(file: Path, page: str) -> None:
    """Raises `FileUnfit` where it can't be written; a file that is there already stays."""
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(page)
    except FileExistsError:
        raise FileUnfit(f"{file} is there already. Name another file.") from None
    except OSError as error:
        raise FileUnfit(f"{file} cannot be written ({error.strerror}).") from None


def review_lines(review: SeenReview, *, width: int = TEXT_WIDTH) -> Iterator[Line]:
    """What goes on in a next line begins with a bar: no text of others looks like one of ours."""
    yield "REVIEW", "bold"
    yield f"review digest {review.digest}", "bold"
    for number, section in enumerate(review.document["sections"], start=1):
        yield "", ""
        yield from _section(number, section, width)


def _section(number: int, section: ReviewSection, width: int) -> Iterator[Line]:
    title = f"{number}. {section['title']}"
    for line in (title, "-" * len(title)):
        yield printable(line), "bold"
    for item in section["items"]:
        yield from _item(item, indent=2, width=width)
    for listing in section["listings"]:
        yield from _wrapped(_title(listing), indent=2, width=width)
        for item in listing["shown"]:
            yield from _item(item, indent=4, width=width)


def _title(listing: ReviewListing) -> str:
    if not listing["total"]:
        return f"{listing['title']}: none"
    digest = listing.get("digest")
    if digest is None:
        return f"{listing['title']}:"
    shown = f"the first {len(listing['shown'])} of {listing['total']:,}"
    return f"{listing['title']}: {shown}, all of them {digest}:"


def _item(item: Mapping[str, str], *, indent: int, width: int) -> Iterator[Line]:
    named = f"{item['label']}: {item['value']}" if "value" in item else item["label"]
    yield from _wrapped(named, indent=indent, width=width)
    for key, form, style in _SIGNS:
        if key in item:
            yield from _wrapped(form.format(item[key]), indent=indent + 4, width=width, style=style)


def _wrapped(text: str, *, indent: int, width: int, style: str = "") -> Iterator[Line]:
    for line in set_lines(text, indent=indent, width=width):
        yield line, style


def _show_beside(screen: Screen, review: SeenReview) -> None:
    beside = review.beside
    screen.line()
    screen.line(styled("Beside the review: not part of what is signed", "bold"))
    screen.line(f"as of {time_words(beside['as_of'])}", indent=2)
    screen.passage(f"gate {beside['closing'] or 'open'}, run {beside['run_state']}", indent=2)
    if beside["is_stale"]:
        screen.line(
            styled("STALE: the plan has changed; nobody decides on this one.", "bold red"), indent=2
        )
    for one in beside["decisions"]:
        screen.passage(decision_words(one), indent=2)
    show_questions(screen, beside["questions"])
    for run in beside["newer_runs"]:
        said = f"{run['classification']}, {run['state']}, {time_words(run['created_at'])}"
        screen.passage(f"newer run {run['name']}: {said}", indent=2)
