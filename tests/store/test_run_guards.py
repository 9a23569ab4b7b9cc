"""What the database demands of a run by itself, whatever an activity or an api says."""

from __future__ import annotations

from itertools import product

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from animus.domain.runs import TERMINAL, TRANSITIONS, RunState
from animus.store.protection import API, WORKER
from tests.conftest import RecordCases
from tests.support.databases import CHECK, connected, state_of
from tests.support.people import make_team
from tests.support.platforms import Platform
from tests.support.runs import DrivenRun, development_request, make_run, submit

pytestmark = pytest.mark.stack

TRANSITION = "AN003"
PERMISSION = "AN004"

States = dict[RunState, DrivenRun]


@pytest.fixture(scope="module")
async def in_each_state(platform: Platform) -> States:
    team = await make_team(platform)
    runs = {
        state: await make_run(platform, team, state)
        for state in RunState
        if state not in (RunState.PLANNED, RunState.EXPIRED)
    }
    planned = await submit(platform, team, development_request())
    await planned.plan()
    expired = await make_run(platform, team, RunState.RUNNING)
    _expire(platform, expired)
    return runs | {RunState.PLANNED: planned, RunState.EXPIRED: expired}


def _expire(platform: Platform, run: DrivenRun) -> None:
    """As the worker would, when a run has passed its deadline."""
    with psycopg.connect(platform.owner_url) as connection:
        connection.execute("SET ROLE animus_worker")
        connection.execute(
            "UPDATE runs SET state = 'expired', ended_at = now(), waiting_for = NULL, "
            "deadline = NULL WHERE id = %s",
            (run.id,),
        )


def move(after: RunState) -> sql.Composed:
    ended = after in TERMINAL
    return sql.SQL(
        "UPDATE runs SET state = {}, ended_at = {}, waiting_for = {} WHERE id = %s"
    ).format(
        sql.Literal(str(after)), sql.SQL("now()" if ended else "NULL"),
        sql.Literal(None if ended else "steps"),
    )  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(product(RunState, RunState)))
async def test_the_database_knows_the_same_transitions_as_the_domain(
    platform: Platform,
    in_each_state: States,
    before: RunState,
    after: RunState,
    record_cases: RecordCases,
) -> None:
    run = in_each_state[before]
    with connected(platform, role=WORKER) as connection:
        refused = state_of(connection, move(after), [run.id])
    stays = before is after and before not in TERMINAL
    if after is RunState.RUNNING and after in TRANSITIONS[before]:
        assert refused == PERMISSION
    elif stays or after in TRANSITIONS[before]:
        assert refused is None
    else:
        assert refused == TRANSITION
    record_cases("transitions", 1)


@pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.CREATED])
def test_a_run_is_born_created(platform: Platform, in_each_state: States, state: RunState) -> None:
    born = (
        "INSERT INTO runs SELECT (jsonb_populate_record(r, %s::jsonb || jsonb_build_object("
        "'id', gen_random_uuid(), 'name', gen_random_uuid(), 'generation', 0, "
        "'plan_digest', null))).* FROM runs r WHERE id = %s"
    )
    run = in_each_state[RunState.CREATED]
    ended = "2026-01-01T00:00:00Z" if state in TERMINAL else None
    waiting = None if state in TERMINAL else "steps"
    said = Jsonb({"state": state, "ended_at": ended, "waiting_for": waiting})
    with connected(platform, role=API) as connection:
        assert state_of(connection, born, [said, run.id]) == TRANSITION


def test_a_generation_cannot_go_back(platform: Platform, in_each_state: States) -> None:
    back = "UPDATE runs SET generation = generation - 1 WHERE id = %s"
    with connected(platform, role=WORKER) as connection:
        run = in_each_state[RunState.AWAITING_APPROVAL]
        assert state_of(connection, back, [run.id]) == TRANSITION


@pytest.mark.parametrize("column", ["ended_at", "waiting_for"])
def test_a_run_waits_for_something_until_it_ends(
    platform: Platform, in_each_state: States, column: str
) -> None:
    attack = sql.SQL("UPDATE runs SET {} = NULL WHERE id = %s").format(sql.Identifier(column))
    ended = sql.SQL("UPDATE runs SET ended_at = now() WHERE id = %s")
    with connected(platform, role=WORKER) as connection:
        run = in_each_state[RunState.AWAITING_APPROVAL]
        assert state_of(connection, attack if column == "waiting_for" else ended, [run.id]) == CHECK
