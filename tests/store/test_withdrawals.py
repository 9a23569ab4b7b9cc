"""Withdrawals as the database judges them: past every rule in code, and every grant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

import psycopg
import pytest

from animus.domain.runs import RunState
from animus.store.protection import WORKER
from tests.store.test_permission_to_run import (
    ALL,
    GATE_SHUT,
    PERMISSION,
    closure,
    decision,
    starting_after,
    values_of,
    withdrawal,
)
from tests.support.databases import FOREIGN_KEY, UNIQUE, connected, state_of
from tests.support.people import make_person, make_team
from tests.support.platforms import Platform
from tests.support.runs import DrivenRun, make_run

pytestmark = pytest.mark.stack

TOO_LATE = "AN008"
AGAIN: LiteralString = (
    "INSERT INTO decisions (id, project_id, gate_id, run_id, generation, plan_digest, "
    "requester_person_id, principal_id, person_id, number, roles_held, verdict, reason, "
    "review_digest) "
    "SELECT gen_random_uuid(), project_id, gate_id, run_id, generation, plan_digest, "
    "requester_person_id, principal_id, person_id, %(number)s, roles_held, verdict, 'forged', "
    "review_digest FROM decisions WHERE run_id = %(run)s AND number = 1"
)
CLOSE_AGAIN: LiteralString = (
    "INSERT INTO gate_closures (gate_id, number, project_id, run_id, closing) "
    "SELECT gate_id, 2, project_id, run_id, 'satisfied' FROM gate_closures "
    "WHERE run_id = %(run)s"
)


@pytest.fixture(scope="module")
async def waiting(platform: Platform) -> DrivenRun:
    return await make_run(platform, await make_team(platform), RunState.AWAITING_APPROVAL)


def said_after(
    platform: Platform, run: DrivenRun, forged: Sequence[LiteralString], last: LiteralString,
    **more: object,
) -> str | None:  # fmt: skip
    values = {**values_of(run, run.team.reviewer), **more}
    with connected(platform) as connection:
        for statement in forged:
            connection.execute(statement, values)
        return state_of(connection, last, values)


@pytest.mark.parametrize(
    ("number", "taken_back", "refused"),
    [(1, False, UNIQUE), (1, True, UNIQUE), (2, False, GATE_SHUT), (2, True, None),
     (3, True, GATE_SHUT)],
)  # fmt: skip
def test_the_next_decision_of_a_person_follows_one_that_was_withdrawn(
    platform: Platform, waiting: DrivenRun, number: int, taken_back: bool, refused: str | None
) -> None:
    forged = (decision(), withdrawal("NULL")) if taken_back else (decision(),)
    assert said_after(platform, waiting, forged, AGAIN, number=number) == refused


@pytest.mark.parametrize(("reopens", "refused"), [("NULL", GATE_SHUT), ("1", None)])
def test_a_gate_is_closed_again_only_after_it_was_reopened(
    platform: Platform, waiting: DrivenRun, reopens: LiteralString, refused: str | None
) -> None:
    forged = (decision(), closure(), withdrawal(reopens))
    assert said_after(platform, waiting, forged, CLOSE_AGAIN) == refused


@pytest.mark.parametrize(
    ("closing", "reopens", "refused"),
    [("satisfied", "1", None), ("rejected", "1", None), ("expired", "1", GATE_SHUT),
     ("voided", "1", GATE_SHUT), ("satisfied", "2", GATE_SHUT)],
)  # fmt: skip
def test_only_what_a_decision_closed_is_reopened(
    platform: Platform,
    waiting: DrivenRun,
    closing: LiteralString,
    reopens: LiteralString,
    refused: str | None,
) -> None:
    forged = (decision(), closure(closing))
    assert said_after(platform, waiting, forged, withdrawal(reopens)) == refused


def test_a_decision_is_withdrawn_once(platform: Platform, waiting: DrivenRun) -> None:
    forged = (decision(), withdrawal("NULL"))
    assert said_after(platform, waiting, forged, withdrawal("NULL")) == UNIQUE


async def test_a_withdrawal_is_of_the_person_who_decided(
    platform: Platform, waiting: DrivenRun
) -> None:
    other = await make_person(platform)
    by_other = withdrawal("NULL").replace("principal_id, person_id, NULL", "%(o)s, %(o)s, NULL")
    refused = said_after(platform, waiting, (decision(),), by_other, o=other.id)
    assert refused == FOREIGN_KEY


def test_what_was_approved_again_starts(platform: Platform, waiting: DrivenRun) -> None:
    values = values_of(waiting, waiting.team.reviewer) | {"number": 2}
    forged = (ALL[0], ALL[1], withdrawal(), AGAIN)
    with connected(platform) as connection:
        for statement in (*forged, ALL[2]):
            connection.execute(statement, values)
        assert starting_after(connection, waiting, waiting.team.reviewer, ()) == PERMISSION
        connection.execute(CLOSE_AGAIN, values)
        assert starting_after(connection, waiting, waiting.team.reviewer, ()) is None


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.SUCCEEDED, RunState.REJECTED])
async def test_nothing_is_withdrawn_once_execution_has_begun(
    platform: Platform, state: RunState
) -> None:
    run = await make_run(platform, await make_team(platform), state)
    assert said_after(platform, run, (), withdrawal("NULL")) == TOO_LATE


def test_the_worker_withdraws_nothing(platform: Platform, waiting: DrivenRun) -> None:
    with connected(platform, role=WORKER) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(withdrawal("NULL"), values_of(waiting, waiting.team.reviewer))
    assert refused.value.sqlstate == "42501"


def test_an_admission_that_was_left_lets_nobody_in(platform: Platform, waiting: DrivenRun) -> None:
    values = values_of(waiting, waiting.team.reviewer)
    limit = (
        "INSERT INTO project_quotas (project_id, revision, limits, reason, created_by) "
        "SELECT project_id, 1, '{}', 'forged', requested_by FROM runs WHERE id = %(run)s"
    )
    leave = (
        "INSERT INTO queue_departures (run_id, generation, stay, project_id) "
        "SELECT id, generation, 1, project_id FROM runs WHERE id = %(run)s"
    )
    with connected(platform) as connection:
        connection.execute(limit, values)
        assert starting_after(connection, waiting, waiting.team.reviewer, ALL) is None
        assert starting_after(connection, waiting, waiting.team.reviewer, (*ALL, leave)) == (
            PERMISSION
        )
