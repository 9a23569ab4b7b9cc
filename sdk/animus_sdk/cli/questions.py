"""Questions about a run and their answers, as words; what is open says how to answer it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from animus_sdk.cli.screens import Screen
from animus_sdk.resources.runs import ENDED
from animus_sdk.wire.question_views import Question
from animus_sdk.wire.views import RunDetail


def open_questions(detail: RunDetail) -> list[Question]:
    """Those that wait for an answer; of a run that has ended none does."""
    if detail["state"] in ENDED:
        return []
    return [one for one in detail["questions"] if one["answer"] is None]


def settled_questions(detail: RunDetail) -> list[Question]:
    waiting = [one["number"] for one in open_questions(detail)]
    return [one for one in detail["questions"] if one["number"] not in waiting]


def question_lines(asked: Iterable[Question]) -> Iterator[str]:
    for one in asked:
        yield f"question {one['number']}, asked by {one['principal']}: {one['text']}"
        if one["answer"] is not None:
            yield f"answered by {one['answer']['principal']}: {one['answer']['text']}"


def how_to_answer(question: Question) -> str:
    return f"animus run answer {question['run_id']}/{question['number']} TEXT"


def show_questions(screen: Screen, asked: Iterable[Question], *, indent: int = 2) -> None:
    for line in question_lines(asked):
        screen.passage(line, indent=indent)
