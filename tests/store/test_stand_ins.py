"""Temporary tables that stand in for the records: no function of the database asks them.

No role may make one; here each may, as if a DBA had granted it, so that there are two walls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from animus.domain.runs import RunState
from animus.store.protection import API, APPLICATION_ROLES, OWNER, WORKER
from tests.conftest import RecordCases
from tests.store.test_audit import ERASE, erasure, values_of, write
from tests.support.databases import PRIVILEGE, WRITTEN_ONCE, state_of
from tests.support.people import Team, make_team
from tests.support.platforms import DATABASE, Platform, system_call
from tests.support.runs import DrivenRun, make_run

pytestmark = pytest.mark.stack

PERMISSION = "AN004"
OPEN_ATTEMPT = "AN005"
GATE_SHUT = "AN006"


@contextmanager
def standing_in(
    platform: Platform, role: str, tables: Mapping[str, LiteralString]
) -> Iterator[psycopg.Connection]:
    """As `role`, with temporary tables by the names of real ones; rolled back."""
    with psycopg.connect(platform.owner_url) as connection:
        names = [sql.Identifier(name) for name in (DATABASE, role)]
        connection.execute(sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(*names))
        connection.execute(sql.SQL("SET ROLE {}").format(names[1]))
        for name, rows in tables.items():
            made = sql.SQL("CREATE TEMPORARY TABLE {} AS ").format(sql.Identifier(name))
            connection.execute(made + sql.SQL(rows))
        yield connection
        connection.rollback()


@pytest.fixture(scope="module")
async def waiting(platform: Platform) -> DrivenRun:
    return await make_run(platform, await make_team(platform), RunState.AWAITING_APPROVAL)


@pytest.mark.parametrize("role", APPLICATION_ROLES)
def test_no_role_can_make_a_table_that_stands_in(platform: Platform, role: str) -> None:
    with psycopg.connect(platform.servers.url(role, DATABASE)) as connection:
        assert state_of(connection, "CREATE TEMPORARY TABLE runs (x int)") == PRIVILEGE


@pytest.mark.parametrize("role", [WORKER, OWNER])
def test_a_run_does_not_start_on_plans_and_gates_that_were_made_up(
    platform: Platform, waiting: DrivenRun, role: str, record_cases: RecordCases
) -> None:
    made_up: dict[str, LiteralString] = {
        "execution_plans": "SELECT run_id, generation, plan_digest, 'allow' AS effect, 0 AS gates "
        "FROM public.execution_plans",
        "approval_gates": "SELECT * FROM public.approval_gates WHERE false",
        "decisions": "SELECT * FROM public.decisions WHERE false",
        "decision_withdrawals": "SELECT * FROM public.decision_withdrawals WHERE false",
        "gate_closures": "SELECT * FROM public.gate_closures WHERE false",
        "revalidations": "SELECT id AS run_id, generation, plan_digest, 'same' AS outcome "
        "FROM public.runs",
    }
    start = "UPDATE public.runs SET state = 'running', waiting_for = 'steps' WHERE id = %s"
    with standing_in(platform, role, made_up) as connection:
        assert state_of(connection, start, [waiting.id]) == PERMISSION
    record_cases("stand-ins", 1)


ATTEMPT: LiteralString = (
    "INSERT INTO public.attempts (id, project_id, run_id, step, number, plan_digest) "
    "SELECT gen_random_uuid(), project_id, id, 'train', 2, plan_digest "
    "FROM public.runs WHERE id = %s"
)


@pytest.mark.parametrize("role", [WORKER, OWNER])
def test_no_attempt_is_opened_on_a_run_that_was_made_up(
    platform: Platform, waiting: DrivenRun, role: str, record_cases: RecordCases
) -> None:
    made_up: dict[str, LiteralString] = {
        "runs": "SELECT id, 'running' AS state, plan_digest FROM public.runs"
    }
    with standing_in(platform, role, made_up) as connection:
        assert state_of(connection, ATTEMPT, [waiting.id]) == PERMISSION
    record_cases("stand-ins", 1)


@pytest.mark.parametrize("role", [WORKER, OWNER])
async def test_no_second_attempt_is_opened_beside_one_whose_end_was_made_up(
    platform: Platform, role: str, record_cases: RecordCases
) -> None:
    run = await make_run(platform, await make_team(platform), RunState.RUNNING)
    await run.open()
    made_up: dict[str, LiteralString] = {
        "attempt_outcomes": "SELECT id AS attempt_id FROM public.attempts",
        "attempts": "SELECT * FROM public.attempts WHERE false",
    }
    with standing_in(platform, role, made_up) as connection:
        assert state_of(connection, ATTEMPT, [run.id]) == OPEN_ATTEMPT
    record_cases("stand-ins", 1)


DECIDE: LiteralString = (
    "INSERT INTO public.decisions (id, project_id, gate_id, run_id, generation, plan_digest, "
    "requester_person_id, principal_id, person_id, roles_held, verdict, reason) "
    "SELECT gen_random_uuid(), project_id, id, run_id, generation, plan_digest, "
    "requester_person_id, %s, %s, '{reviewer}', 'approve', 'forged' "
    "FROM public.approval_gates WHERE run_id = %s"
)


@pytest.mark.parametrize("role", [API, OWNER])
async def test_a_gate_stays_closed_whatever_is_made_up(
    platform: Platform, role: str, record_cases: RecordCases
) -> None:
    run = await make_run(platform, await make_team(platform), RunState.REJECTED)
    made_up: dict[str, LiteralString] = {
        "approval_gates": "SELECT id, now() + interval '1 day' AS deadline "
        "FROM public.approval_gates",
        "gate_closures": "SELECT * FROM public.gate_closures WHERE false",
    }
    with standing_in(platform, role, made_up) as connection:
        by = run.team.viewer.id
        assert state_of(connection, DECIDE, [by, by, run.id]) == GATE_SHUT
    record_cases("stand-ins", 1)


@pytest.mark.parametrize("role", [API, OWNER])
async def test_a_decision_names_its_review_whatever_is_made_up(
    platform: Platform, waiting: DrivenRun, role: str, record_cases: RecordCases
) -> None:
    made_up: dict[str, LiteralString] = {
        "gate_reviews": "SELECT * FROM public.gate_reviews WHERE false"
    }
    with standing_in(platform, role, made_up) as connection:
        by = waiting.team.viewer.id
        assert state_of(connection, DECIDE, [by, by, waiting.id]) == PERMISSION
    record_cases("stand-ins", 1)


EVENTS: dict[str, LiteralString] = {
    name: f"SELECT * FROM public.{name} WHERE false"
    for name in ("audit_events", "audit_payloads", "audit_pending")
}


async def test_what_is_erased_is_recorded_where_it_is_looked_for(
    platform: Platform, team: Team, record_cases: RecordCases
) -> None:
    erased = await write(platform.api, team, system_call())
    said = erasure(erased)
    made_up = {name: rows for name, rows in EVENTS.items() if name != "audit_payloads"}
    with standing_in(platform, API, made_up) as connection:
        connection.execute(ERASE, values_of(erased, said))
        for name in ("audit_events", "audit_pending"):
            forged = connection.execute(
                sql.SQL("SELECT 1 FROM pg_temp.{}").format(sql.Identifier(name))
            ).fetchall()
            assert forged == []
        recorded = connection.execute(
            "SELECT (SELECT count(*) FROM public.audit_events WHERE id = %(id)s), "
            "(SELECT count(*) FROM public.audit_pending WHERE event_id = %(id)s)",
            {"id": said[0].event_id},
        ).fetchone()
        assert recorded == (1, 1)
    record_cases("stand-ins", 1)


async def test_no_payload_is_erased_for_an_event_that_was_made_up(
    platform: Platform, team: Team, record_cases: RecordCases
) -> None:
    """The owner, to whom no grant but the trigger says no."""
    target = await write(platform.api, team, system_call())
    event, leaf, _ = erasure(target)
    with standing_in(platform, OWNER, EVENTS) as connection:
        connection.execute(
            "INSERT INTO pg_temp.audit_events (id, action, leaf) VALUES (%s, %s, %s)",
            [event.event_id, event.action, leaf.canonical],
        )
        connection.execute("SELECT set_config('animus.erasing', %s, true)", [str(event.event_id)])
        attack = "DELETE FROM public.audit_payloads WHERE event_id = %s"
        assert state_of(connection, attack, [target]) == WRITTEN_ONCE
    record_cases("stand-ins", 1)
