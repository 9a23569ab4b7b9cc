"""What is said beside a frozen review: decisions and questions, all of them; the run's state, newer
runs. Never signed."""

from __future__ import annotations

from collections.abc import Sequence

from animus.domain.digests import format_digest
from animus.domain.review_words import moment_words
from animus.domain.reviews import Item, Section, listing, whole_listing
from animus.services.decisions import DecisionView, WithdrawalView
from animus.services.questions import QuestionView
from animus.services.reviews import NewerRunView, ReviewView


def notes_of(view: ReviewView) -> tuple[Section, ...]:
    """As sections, so that they are set in the same type as the document."""
    gate = view.gate
    items = [
        Item(label="as of", value=moment_words(view.as_of)),
        Item(label="gate", value=gate.closing or "open"),
        Item(label="run", value=view.run_state, note=f"generation {view.run_generation}"),
    ]
    if view.is_stale:
        items.append(Item(label="stale", value=_STALE))
    section = Section(
        name="since",
        title="What was recorded since",
        items=tuple(items),
        listings=(
            whole_listing("Decisions so far", [_decision(one) for one in gate.decisions]),
            whole_listing("Questions and answers", _questions(view.questions)),
            listing("Newer runs of this pipeline", [_newer(one) for one in view.newer_runs]),
        ),
    )
    return (section,)


_STALE = "The plan has changed and a newer generation has opened. Nobody decides on this one."


def _decision(one: DecisionView) -> Item:
    meaning = f" ({one.meaning.replace('_', ' ')})" if one.meaning is not None else ""
    review = f"; review {format_digest(one.review_digest)}" if one.review_digest else ""
    return Item(
        label=one.principal + (f" in place of {one.in_place_of}" if one.in_place_of else ""),
        value=f"{one.verdict}{meaning}: {one.reason}",
        note=f"{moment_words(one.decided_at)}{review}{_withdrawn(one.withdrawal)}",
    )


def _withdrawn(one: WithdrawalView | None) -> str:
    if one is None:
        return ""
    return f"; withdrawn by {one.principal}, {moment_words(one.withdrawn_at)}: {one.reason}"


def _questions(asked: Sequence[QuestionView]) -> list[Item]:
    """Each with its answer under it."""
    items = []
    for one in asked:
        at = f"at {one.gate} of generation {one.generation}, {moment_words(one.asked_at)}"
        items.append(Item(label=f"{one.number}. {one.principal} asks", value=one.text, note=at))
        if one.answer is not None:
            said = one.answer
            at = moment_words(said.answered_at)
            items.append(
                Item(label=f"{one.number}. {said.principal} answers", value=said.text, note=at)
            )
    return items


def _newer(one: NewerRunView) -> Item:
    return Item(
        label=one.name,
        value=f"{one.classification}, {one.state}",
        note=moment_words(one.created_at),
    )
