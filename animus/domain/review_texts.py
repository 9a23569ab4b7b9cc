"""The review document set as plain text. Adds no words but the heading and the digest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from animus.domain.digests import format_digest
from animus.domain.reviews import Item, Listing, SealedReview, Section
from animus.domain.wrapped_lines import set_lines

WIDTH = 100
BESIDE = "Beside the review: not part of what is signed"


def write_text(sealed: SealedReview, beside: Sequence[Section] = ()) -> str:
    """Lines of at most `WIDTH` cells of a terminal; what goes on in a next line begins with a bar,
    so that no text of others can look like a line of ours."""
    lines = ["REVIEW", f"review digest {format_digest(sealed.digest)}"]
    for number, section in enumerate(sealed.document.sections, start=1):
        lines += ["", *_section(f"{number}. {section.title}", section)]
    if beside:
        lines += ["", "=" * WIDTH, BESIDE]
    for section in beside:
        lines += ["", *_section(section.title, section)]
    return "\n".join(lines) + "\n"


def _section(title: str, section: Section) -> Iterator[str]:
    yield from (title, "-" * len(title))
    for item in section.items:
        yield from _item(item, indent=2)
    for one in section.listings:
        yield from _listing(one)


def _listing(one: Listing) -> Iterator[str]:
    yield from _wrapped(listing_title(one), indent=2)
    for item in one.shown:
        yield from _item(item, indent=4)


def listing_title(one: Listing) -> str:
    if not one.total:
        return f"{one.title}: none"
    if one.digest is None:
        return f"{one.title}:"
    return f"{one.title}: the first {len(one.shown)} of {one.total:,}, all of them {one.digest}:"


def _item(item: Item, *, indent: int) -> Iterator[str]:
    named = item.label if item.value is None else f"{item.label}: {item.value}"
    yield from _wrapped(named, indent=indent)
    for sign, text in (("-", item.before), ("+", item.after), ("", item.note)):
        if text is not None:
            yield from _wrapped(f"{sign} {text}" if sign else f"({text})", indent=indent + 4)


def _wrapped(text: str, *, indent: int) -> list[str]:
    return set_lines(text, indent=indent, width=WIDTH)
