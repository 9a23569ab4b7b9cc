"""The review document: what one gate asks people to decide on, as bytes with one digest.

It is made of words, not of rows: what is signed is literally what is read, and every renderer only
sets it in type. It says nothing that changes later: decisions and newer runs are shown beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from animus.domain.canonical import JsonObject, canonical_bytes, decode_strictly
from animus.domain.digests import (
    Digest,
    digest_of_canonical,
    format_digest,
    tagged_digest,
)
from animus.domain.documents import DigestText, Document, Int, SparseDocument

TAG = "animus.review/v1"
LIST_TAG = "animus.review-list/v1"
MAX_SHOWN = 50
"""Of one list; the rest is counted, and in the list's digest."""


class Item(SparseDocument):
    """A name with a value; or with what was before and what is now; `note` explains it."""

    label: str
    value: str | None = None
    before: str | None = None
    after: str | None = None
    note: str | None = None


class Listing(SparseDocument):
    title: str
    total: Int
    shown: tuple[Item, ...]
    digest: DigestText | None = None
    """Of the whole list, where not all of it is shown: SHA-256 over the tag
    `animus.review-list/v1`, a newline and the RFC 8785 bytes of all its items."""


class Section(Document):
    name: str
    title: str
    items: tuple[Item, ...]
    listings: tuple[Listing, ...]


class Review(Document):
    schema_: Annotated[Literal["animus.review/v1"], Field(alias="schema")] = "animus.review/v1"
    project_id: str
    run_id: str
    gate_id: str
    generation: Int
    plan_digest: DigestText
    sections: tuple[Section, ...]
    """In the order in which they are to be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedReview:
    document: Review
    canonical: bytes
    digest: Digest


def seal_review(review: Review) -> SealedReview:
    canonical = canonical_bytes(review.content())
    return SealedReview(document=review, canonical=canonical, digest=review_digest(canonical))


def read_review(canonical: bytes) -> SealedReview:
    """What was stored, with the digest that its bytes have now."""
    document = Review.model_validate(decode_strictly(canonical))
    return SealedReview(document=document, canonical=canonical, digest=review_digest(canonical))


def review_digest(canonical: bytes) -> Digest:
    """SHA-256 over the tag `animus.review/v1`, a newline and the RFC 8785 bytes."""
    return digest_of_canonical(TAG, canonical)


def listing(title: str, items: Sequence[Item]) -> Listing:
    """All of them, or the first of them with what the whole list is."""
    return long_listing(title, [item.content() for item in items])


def whole_listing(title: str, items: Sequence[Item]) -> Listing:
    """All of them, however many: for what a yes permits, of which nothing may be hidden."""
    return Listing(title=title, total=len(items), shown=tuple(items))


def long_listing(title: str, contents: Sequence[JsonObject]) -> Listing:
    """Of items by their content, without making those that are not shown."""
    is_whole = len(contents) <= MAX_SHOWN
    return Listing(
        title=title,
        total=len(contents),
        shown=tuple(Item.model_validate(one) for one in contents[:MAX_SHOWN]),
        digest=None if is_whole else format_digest(tagged_digest(LIST_TAG, contents)),
    )
