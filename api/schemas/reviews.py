"""Views of review documents: the frozen one, and what is known beside it by now."""

from __future__ import annotations

from datetime import datetime

from animus.domain.derived_state import GateClosing
from animus.domain.reviews import Review
from animus.domain.run_specs import Classification
from animus.domain.runs import RunState
from animus.services.reviews import ReviewView
from api.schemas.fields import DigestOut, View
from api.schemas.gates import DecisionOut
from api.schemas.questions import QuestionOut


class NewerRunOut(View):
    name: str
    classification: Classification
    state: RunState
    created_at: datetime


class BesideOut(View):
    """What has been recorded since the review was frozen; outside its digest."""

    as_of: datetime
    closing: GateClosing | None
    is_stale: bool
    """A newer generation has opened: nobody decides on this review any more."""
    run_state: RunState
    run_generation: int
    decisions: tuple[DecisionOut, ...]
    questions: tuple[QuestionOut, ...]
    """At all gates of the run, in order of asking."""
    newer_runs: tuple[NewerRunOut, ...]


class ReviewOut(View):
    review_digest: DigestOut
    """SHA-256 over `animus.review/v1`, a newline, and `canonical` as UTF-8."""
    canonical: str
    """The RFC 8785 text that was hashed. Compute the digest from it, and read it."""
    document: Review
    """The same, decoded, for whoever only looks."""
    beside: BesideOut

    @classmethod
    def of(cls, view: ReviewView) -> ReviewOut:
        return cls(
            review_digest=view.sealed.digest,
            canonical=view.sealed.canonical.decode(),
            document=view.sealed.document,
            beside=BesideOut(
                as_of=view.as_of,
                closing=view.gate.closing,
                is_stale=view.is_stale,
                run_state=view.run_state,
                run_generation=view.run_generation,
                decisions=tuple(DecisionOut.model_validate(one) for one in view.gate.decisions),
                questions=tuple(QuestionOut.model_validate(one) for one in view.questions),
                newer_runs=tuple(NewerRunOut.model_validate(one) for one in view.newer_runs),
            ),
        )
