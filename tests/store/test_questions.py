"""What the database demands of questions and answers by itself, whatever an api says."""

from __future__ import annotations

import psycopg
import pytest

from animus.store.protection import API
from tests.support.databases import CHECK, FOREIGN_KEY, UNIQUE, connected, state_of
from tests.support.people import Team
from tests.support.platforms import Platform

pytestmark = pytest.mark.stack

ASK = (
    "INSERT INTO gate_questions (id, project_id, gate_id, run_id, number, requester_person_id,"
    " principal_id, person_id, roles_held, text) SELECT gen_random_uuid(), project_id, gate_id,"
    " run_id, %(number)s, requester_person_id, %(by)s, %(by)s, roles_held, %(text)s"
    " FROM gate_questions WHERE id = %(like)s"
)
ANSWER = (
    "INSERT INTO gate_answers (question_id, project_id, run_id, principal_id, person_id, text)"
    " SELECT id, project_id, run_id, %(by)s, %(by)s, %(text)s FROM gate_questions"
    " WHERE id = %(like)s"
)


def open_question(connection: psycopg.Connection, team: Team) -> object:
    """One without an answer."""
    row = connection.execute(
        "SELECT id FROM gate_questions q WHERE project_id = %s"
        " AND NOT EXISTS (SELECT FROM gate_answers WHERE question_id = q.id)",
        [team.project_id],
    ).fetchone()
    assert row is not None
    return row[0]


def test_the_requester_asks_nothing_at_the_own_gate(platform: Platform, filled: Team) -> None:
    with connected(platform, role=API) as connection:
        said = {"like": open_question(connection, filled), "number": 3, "text": "why?"}
        for by, refused in ((filled.reviewer, None), (filled.editor, CHECK)):
            assert state_of(connection, ASK, said | {"by": by.id}) == refused


def test_nobody_else_answers(platform: Platform, filled: Team) -> None:
    with connected(platform, role=API) as connection:
        said = {"like": open_question(connection, filled), "text": "because"}
        for by, refused in ((filled.editor, None), (filled.reviewer, FOREIGN_KEY)):
            assert state_of(connection, ANSWER, said | {"by": by.id}) == refused


def test_a_number_is_given_once_and_an_answer_too(platform: Platform, filled: Team) -> None:
    with connected(platform, role=API) as connection:
        like = open_question(connection, filled)
        again = {"like": like, "number": 1, "text": "why?", "by": filled.reviewer.id}
        assert state_of(connection, ASK, again) == UNIQUE
        answer = {"like": like, "text": "because", "by": filled.editor.id}
        connection.execute(ANSWER, answer)
        assert state_of(connection, ANSWER, answer) == UNIQUE


@pytest.mark.parametrize("text", ["", "a" * 2_001])
def test_neither_is_empty_or_without_end(platform: Platform, filled: Team, text: str) -> None:
    with connected(platform, role=API) as connection:
        like = open_question(connection, filled)
        ask = {"like": like, "number": 3, "by": filled.reviewer.id, "text": text}
        assert state_of(connection, ASK, ask) == CHECK
        answer = {"like": like, "by": filled.editor.id, "text": text}
        assert state_of(connection, ANSWER, answer) == CHECK
