"""Questions at gates: whoever may decide there asks, whoever asked for the run answers."""

from __future__ import annotations

from dataclasses import dataclass

from animus_sdk.resources.scopes import Scope
from animus_sdk.wire import operations
from animus_sdk.wire.question_views import Question


@dataclass(frozen=True, slots=True)
class Questions:
    _scope: Scope

    def of_gate(self, gate_id: str) -> list[Question]:
        """In order of asking. A run's detail has those of all its gates."""
        return self._scope.call(operations.LIST_QUESTIONS, list[Question], gate_id=gate_id)

    def ask(self, gate_id: str, text: str) -> Question:
        """While the gate is open; neither its review nor a decision changes."""
        body = {"text": text}
        return self._scope.call(operations.ASK_QUESTION, Question, body=body, gate_id=gate_id)

    def answer(self, question_id: str, text: str) -> Question:
        """Once, and while the run has not ended."""
        body = {"text": text}
        return self._scope.call(
            operations.ANSWER_QUESTION, Question, body=body, question_id=question_id
        )
