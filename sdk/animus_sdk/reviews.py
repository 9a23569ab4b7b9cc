"""A gate's review document as it was given; its digest is computed here, from its bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass

from animus_sdk.errors import AnswerUnfit
from animus_sdk.transfer.digests import canonical_bytes, tagged_digest
from animus_sdk.wire.decoding import decode
from animus_sdk.wire.views import ReviewAnswer, ReviewBeside, ReviewDocument

TAG = "animus.review/v1"


class ReviewUnfit(AnswerUnfit):
    """What came is not what it says it is, or not what was asked for."""

    default_code = "review_unfit"


@dataclass(frozen=True, slots=True)
class SeenReview:
    document: ReviewDocument
    canonical: str
    """The text that was hashed."""
    digest: str
    """Of `canonical`, computed here: what to send with a decision."""
    beside: ReviewBeside
    """What has been recorded since; not part of what is signed."""


def read_review(answer: ReviewAnswer, *, gate_id: str) -> SeenReview:
    """Raises `ReviewUnfit` unless the bytes have the digest that is said and are of this gate."""
    canonical = answer["canonical"]
    digest = tagged_digest(TAG, canonical.encode())
    if digest != answer["review_digest"]:
        raise ReviewUnfit(
            f"The review that came has the digest {digest}, not the one that the gateway says."
            " Decide nothing, and tell your operators."
        )
    document = decode(ReviewDocument, json.loads(canonical))
    if canonical_bytes(document) != canonical.encode() or document["gate_id"] != gate_id:
        raise ReviewUnfit(
            "The review that came is not canonical, or of another gate. Decide nothing, and tell"
            " your operators."
        )
    return SeenReview(document, canonical, digest, answer["beside"])
