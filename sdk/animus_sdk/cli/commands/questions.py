"""approvals ask, run answer: a question back to whoever asked for the run, and its answer."""

from __future__ import annotations

from typing import Annotated

import typer

from animus_sdk.cli.gate_references import get_open_gate
from animus_sdk.cli.questions import how_to_answer, open_questions
from animus_sdk.cli.references import run_meant
from animus_sdk.cli.sessions import Session
from animus_sdk.printable import printable
from animus_sdk.resources.references import UnknownReference
from animus_sdk.wire.question_views import Question
from animus_sdk.wire.views import RunDetail

_Gate = Annotated[
    str, typer.Argument(metavar="RUN|GATE", help="A run by name, id or its end; or a gate's id.")
]
_Question = Annotated[
    str,
    typer.Argument(
        metavar="RUN[/QUESTION]",
        help="A run by name, id or its end; with the question's number where several wait.",
    ),
]
_Text = Annotated[str, typer.Argument(metavar="TEXT", help="Kept for ever, and shown to all.")]


def ask(here: Session, reference: _Gate, text: _Text) -> None:
    """Ask the requester something before you decide. The review and decisions stay as they are."""
    gate = get_open_gate(here, reference)
    question = here.client.questions.ask(gate["id"], text)

    def render() -> None:
        here.screen.line(f"Question {question['number']} about {gate['run']} is asked.")
        here.screen.note(f"To see the answer: animus approvals show {gate['id']}")
        here.screen.note(f"Whoever asked for the run answers: {how_to_answer(question)}")

    here.screen.answer(question, render)


def answer(here: Session, reference: _Question, text: _Text) -> None:
    """Answer what somebody who decides has asked about your run. An answer stays as it is."""
    run, slash, named = reference.rpartition("/")
    detail = here.client.runs.get(run_meant(here, run if slash else named))
    asked = _question_meant(detail, named if slash else None)
    question = here.client.questions.answer(asked["id"], text)

    def render() -> None:
        said = f"Question {question['number']} of {question['principal']} is answered."
        here.screen.line(said)

    here.screen.answer(question, render)


def _question_meant(detail: RunDetail, named: str | None) -> Question:
    """The one that is named; the one that waits, where none is."""
    of = printable(detail["name"])
    if named is not None:
        for one in detail["questions"]:
            if named == str(one["number"]) or named.lower() == one["id"]:
                return one
        raise UnknownReference(
            f"There is no question {printable(named)!r} about {of}. See 'animus run show'."
        )
    waiting = open_questions(detail)
    if len(waiting) == 1:
        return waiting[0]
    if not waiting:
        raise UnknownReference(
            f"No question about {of} waits for an answer.", code="no_open_question"
        )
    said = ", ".join(f"{one['number']} of {printable(one['principal'])}" for one in waiting)
    raise UnknownReference(
        f"Several questions wait ({said}). Name one: animus run answer {detail['id']}/NUMBER TEXT",
        code="ambiguous",
    )
