"""Questions at gates, as the gateway answers them."""

from __future__ import annotations

from typing import TypedDict


class Answer(TypedDict):
    principal: str
    text: str
    answered_at: str


class Question(TypedDict):
    id: str
    gate_id: str
    run_id: str
    number: int
    """Within the run, from 1."""
    gate: str
    generation: int
    principal: str
    text: str
    asked_at: str
    answer: Answer | None
