"""`running` is refused unless the records show every gate satisfied: forgeries change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

import psycopg
import pytest

from animus.domain.runs import RunState
from animus.store.protection import OWNER, WORKER
from tests.conftest import RecordCases
from tests.support.databases import CHECK, FOREIGN_KEY, UNIQUE, connected, state_of
from tests.support.documents import demand, rule
from tests.support.people import make_person, make_service_account, make_team
from tests.support.platforms import Member, Platform
from tests.support.policing import put_in_force
from tests.support.runs import DrivenRun, make_run, production_request, submit

pytestmark = pytest.mark.stack

KEEPS_ITS_PLAN = "AN003"
PERMISSION = "AN004"
OPEN_ATTEMPT = "AN005"
GATE_SHUT = "AN006"

START = "UPDATE runs SET state = 'running', waiting_for = 'steps' WHERE id = %(run)s"


def decision(
    verdict: LiteralString = "approve",
    requester: LiteralString = "requester_person_id",
    *,
    review: LiteralString = "(SELECT digest FROM gate_reviews v WHERE v.gate_id = g.id)",
) -> LiteralString:
    """On all gates of the run, by the principal and the person given."""
    return (
        "INSERT INTO decisions (id, project_id, gate_id, run_id, generation, plan_digest, "
        "requester_person_id, principal_id, person_id, roles_held, verdict, reason, review_digest) "
        f"SELECT gen_random_uuid(), project_id, id, run_id, generation, plan_digest, {requester}, "
        f"%(principal)s, %(person)s, '{{reviewer}}', '{verdict}', 'forged', {review} "
        "FROM approval_gates g WHERE run_id = %(run)s"
    )


def closure(closing: LiteralString = "satisfied") -> LiteralString:
    return (
        "INSERT INTO gate_closures (gate_id, project_id, run_id, closing) "
        f"SELECT id, project_id, run_id, '{closing}' FROM approval_gates WHERE run_id = %(run)s"
    )


def revalidation(
    outcome: LiteralString = "same",
    *,
    generation: LiteralString = "generation",
    digest: LiteralString = "plan_digest",
) -> LiteralString:
    return (
        "INSERT INTO revalidations (run_id, generation, project_id, plan_digest, outcome) "
        f"SELECT id, {generation}, project_id, {digest}, '{outcome}' FROM runs WHERE id = %(run)s"
    )


def next_plan(effect: LiteralString, gates: LiteralString) -> LiteralString:
    """The same plan as the next generation, and the run moved on to it."""
    return (
        "WITH plan AS (INSERT INTO execution_plans "
        "(run_id, generation, project_id, plan_digest, canonical, effect, gates) "
        f"SELECT run_id, generation + 1, project_id, plan_digest, canonical, '{effect}', {gates} "
        "FROM execution_plans WHERE run_id = %(run)s) "
        "UPDATE runs SET generation = generation + 1 WHERE id = %(run)s"
    )


def withdrawal(reopens: LiteralString = "1") -> LiteralString:
    """Of every decision on the run."""
    return (
        "INSERT INTO decision_withdrawals (decision_id, project_id, gate_id, run_id, "
        "principal_id, person_id, reopens, reason) "
        f"SELECT id, project_id, gate_id, run_id, principal_id, person_id, {reopens}, 'forged' "
        "FROM decisions WHERE run_id = %(run)s"
    )


LET_IN: LiteralString = (
    "INSERT INTO admissions (run_id, project_id, generation, peak) "
    "SELECT id, project_id, generation, 'forged' FROM runs WHERE id = %(run)s"
)
OTHER_PLAN: LiteralString = "UPDATE runs SET plan_digest = sha256('x') WHERE id = %(run)s"
NO_PLAN: LiteralString = "UPDATE runs SET plan_digest = NULL WHERE id = %(run)s"
ALL = (decision(), closure(), revalidation())

FORGERIES: dict[str, tuple[LiteralString, ...]] = {
    "nothing is recorded": (),
    "only revalidated": (revalidation(),),
    "closed as satisfied without a decision": (closure(), revalidation()),
    "decided and not closed": (decision(), revalidation()),
    "closed as rejected": (decision(), closure("rejected"), revalidation()),
    "closed as expired": (decision(), closure("expired"), revalidation()),
    "voided": (decision(), closure("voided"), revalidation()),
    "a person rejected": (decision("reject"), closure(), revalidation()),
    "not revalidated": (decision(), closure()),
    "the plan has drifted": (decision(), closure(), revalidation("drift")),
    "another generation was revalidated": (
        decision(), closure(), revalidation(generation="generation + 1"),
    ),
    "another plan was revalidated": (decision(), closure(), revalidation(digest="sha256('x')")),
    "approved in the generation before": (
        decision(), closure(), next_plan("require_approval", "gates"), revalidation(),
    ),
    "the approval was withdrawn, and the gate is closed": (
        decision(), closure(), withdrawal("NULL"), revalidation(),
    ),
    "the approval was withdrawn, and the gate is open": (
        decision(), closure(), withdrawal(), revalidation(),
    ),
    "the plan is denied": (decision(), closure(), next_plan("deny", "0"), revalidation()),
    "the run names a plan that is not there": (*ALL, OTHER_PLAN),
    "the run names no plan": (*ALL, NO_PLAN),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A run that waits for one gate, and the people around it."""

    run: DrivenRun
    reviewer: Member
    requester: Member
    account: Member
    """The requester's own."""


@pytest.fixture(scope="module")
async def scene(platform: Platform) -> Scene:
    team = await make_team(platform)
    return Scene(
        run=await make_run(platform, team, RunState.AWAITING_APPROVAL),
        reviewer=team.reviewer,
        requester=team.editor,
        account=await make_service_account(platform, team, accountable=team.editor),
    )


def values_of(run: DrivenRun, by: Member, person: Member | None = None) -> dict[str, object]:
    return {"run": run.id, "principal": by.id, "person": (person or by).id}


def starting_after(
    connection: psycopg.Connection, run: DrivenRun, by: Member, forged: Sequence[LiteralString]
) -> str | None:
    """The SQLSTATE that starting the run is refused with, after these records were made."""
    values = values_of(run, by)
    with connection.transaction(force_rollback=True):
        for statement in forged:
            connection.execute(statement, values)
        connection.execute(LET_IN, values)  # others may have set limits: that is not tested here
        return state_of(connection, START, values)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_run_does_not_start(
    platform: Platform, scene: Scene, forgery: str, record_cases: RecordCases
) -> None:
    with connected(platform) as connection:  # as superuser: grants are not what is tested
        refused = starting_after(connection, scene.run, scene.reviewer, FORGERIES[forgery])
    assert refused == PERMISSION
    record_cases("permission to run", 1)


def test_a_run_starts_when_everything_is_recorded(platform: Platform, scene: Scene) -> None:
    with connected(platform) as connection:
        assert starting_after(connection, scene.run, scene.reviewer, ALL) is None


def test_the_worker_cannot_make_up_a_decision(platform: Platform, scene: Scene) -> None:
    with connected(platform, role=WORKER) as connection:
        values = values_of(scene.run, scene.reviewer)
        assert state_of(connection, decision(), values) == "42501"


async def test_a_quorum_counts_persons_and_not_accounts(platform: Platform) -> None:
    team = await make_team(platform)
    await put_in_force(platform, team, rule("two", "require_approval", approval=demand(quorum=2)))
    run = await submit(platform, team, await production_request(platform, team))
    await run.plan()
    second = await make_person(platform)
    account = await make_service_account(platform, team, accountable=team.reviewer)
    by_reviewer = values_of(run, team.reviewer)
    by_account = values_of(run, account, team.reviewer)
    with connected(platform) as connection:
        connection.execute(decision(), by_reviewer)
        assert state_of(connection, decision(), by_account) == UNIQUE
        forged = (closure(), revalidation())
        assert starting_after(connection, run, team.reviewer, forged) == PERMISSION
        connection.execute(decision(), values_of(run, second))
        assert starting_after(connection, run, team.reviewer, forged) is None


async def test_a_plan_starts_with_all_the_gates_that_it_demands(platform: Platform) -> None:
    """A forged plan that demands a gate, for which none was opened."""
    team = await make_team(platform)
    run = await submit(platform, team)
    await run.plan()
    with connected(platform) as connection:
        for gates, refused in (("0", None), ("1", PERMISSION)):
            forged = (next_plan("allow", gates), revalidation())
            assert starting_after(connection, run, team.reviewer, forged) == refused


FOUR_EYES = {
    "the requester": ("requester", "requester", "requester_person_id", CHECK),
    "the requester's account": ("account", "requester", "requester_person_id", CHECK),
    "the requester's account under another person": (
        "account", "reviewer", "requester_person_id", FOREIGN_KEY,
    ),
    "the requester under another person": (
        "requester", "reviewer", "requester_person_id", FOREIGN_KEY,
    ),
    "the requester of a run that claims another one": (
        "requester", "requester", "gen_random_uuid()", FOREIGN_KEY,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOUR_EYES)
def test_four_eyes_are_two_persons_by_constraint(
    platform: Platform, scene: Scene, case: str, record_cases: RecordCases
) -> None:
    """Inserted by the superuser, past every rule in code and every grant."""
    by, person, requester, refused = FOUR_EYES[case]
    values = values_of(scene.run, getattr(scene, by), getattr(scene, person))
    with connected(platform) as connection:
        forged = decision(requester=requester)
        assert state_of(connection, forged, values) == refused
    record_cases("four eyes", 1)


@pytest.mark.parametrize(
    ("review", "refused"),
    [
        ("NULL", PERMISSION),
        ("sha256('x')", FOREIGN_KEY),
        ("(SELECT digest FROM gate_reviews v WHERE v.gate_id <> g.id LIMIT 1)", FOREIGN_KEY),
    ],
)
async def test_a_decision_names_the_review_of_its_own_gate(
    platform: Platform, scene: Scene, review: LiteralString, refused: str
) -> None:
    await make_run(platform, scene.run.team, RunState.AWAITING_APPROVAL)
    with connected(platform) as connection:
        values = values_of(scene.run, scene.reviewer)
        assert state_of(connection, decision(review=review), values) == refused


@pytest.mark.parametrize("closing", ["satisfied", "rejected", "expired", "voided"])
def test_a_closed_gate_takes_no_decision(
    platform: Platform, scene: Scene, closing: LiteralString
) -> None:
    values = values_of(scene.run, scene.reviewer)
    with connected(platform) as connection:
        connection.execute(closure(closing), values)
        assert state_of(connection, decision(), values) == GATE_SHUT


def test_a_gate_past_its_deadline_takes_no_decision_by_the_databases_clock(
    platform: Platform, scene: Scene
) -> None:
    late = (
        "INSERT INTO approval_gates (id, project_id, run_id, generation, plan_digest, "
        "requester_person_id, name, role, quorum, rule, opened_at, deadline) "
        "SELECT gen_random_uuid(), project_id, run_id, generation, plan_digest, "
        "requester_person_id, 'late', role, quorum, rule, now() - interval '2 days', "
        "clock_timestamp() + %s * interval '1 hour' "
        "FROM approval_gates WHERE run_id = %s AND name <> 'late' RETURNING id"
    )
    with connected(platform) as connection:
        for hours, refused in ((1, None), (-1, GATE_SHUT)):
            with connection.transaction(force_rollback=True):
                connection.execute(late, (hours, scene.run.id))
                on_it = decision() + " AND name = 'late'"
                values = values_of(scene.run, scene.reviewer)
                assert state_of(connection, on_it, values) == refused


@pytest.mark.parametrize(
    "change",
    [
        "plan_digest = sha256('x')",
        "plan_digest = NULL",
        "generation = generation + 1",
        "generation = generation + 1, state = 'failed', waiting_for = NULL, ended_at = now()",
        "plan_digest = sha256('x'), state = 'canceled', waiting_for = NULL, ended_at = now()",
    ],
)
async def test_a_run_keeps_the_plan_that_it_was_started_with(
    platform: Platform, change: LiteralString, record_cases: RecordCases
) -> None:
    run = await make_run(platform, await make_team(platform), RunState.RUNNING)
    for role in (WORKER, OWNER):
        with connected(platform, role=role) as connection:
            attack = f"UPDATE runs SET {change} WHERE id = %s"
            assert state_of(connection, attack, [run.id]) == KEEPS_ITS_PLAN
    record_cases("permission to run", 2)


async def test_no_attempt_follows_a_plan_that_was_never_permitted(platform: Platform) -> None:
    """A denied plan is forged beside the permitted one, and an attempt is asked for on it."""
    run = await make_run(platform, await make_team(platform), RunState.RUNNING)
    forged = (
        "INSERT INTO execution_plans "
        "(run_id, generation, project_id, plan_digest, canonical, effect, gates) "
        "SELECT id, generation + 1, project_id, sha256('x'), 'x', 'deny', 0 "
        "FROM runs WHERE id = %s"
    )
    with connected(platform, role=WORKER) as connection:
        connection.execute(forged, [run.id])
        moved = "UPDATE runs SET plan_digest = sha256('x') WHERE id = %s"
        assert state_of(connection, moved, [run.id]) == KEEPS_ITS_PLAN
        values = {"run": run.id, "number": 1, "same": False, "step": "train"}
        assert state_of(connection, ATTEMPT, values) == PERMISSION


ATTEMPT = (
    "INSERT INTO attempts (id, project_id, run_id, step, number, plan_digest) "
    "SELECT gen_random_uuid(), project_id, id, %(step)s, %(number)s, "
    "CASE WHEN %(same)s THEN plan_digest ELSE sha256('x') END FROM runs WHERE id = %(run)s"
)


def attempting(
    platform: Platform, run: DrivenRun, *, number: int = 1, same: bool = True, step: str = "train"
) -> str | None:
    values = {"run": run.id, "number": number, "same": same, "step": step}
    with connected(platform, role=WORKER) as connection:
        return state_of(connection, ATTEMPT, values)


@pytest.mark.parametrize(
    "state", [RunState.CREATED, RunState.AWAITING_APPROVAL, RunState.SUCCEEDED, RunState.CANCELED]
)
async def test_attempts_are_opened_for_running_runs_only(
    platform: Platform, state: RunState
) -> None:
    run = await make_run(platform, await make_team(platform), state)
    assert attempting(platform, run, number=9) == PERMISSION


async def test_attempts_are_opened_one_after_another_on_the_approved_plan(
    platform: Platform,
) -> None:
    run = await make_run(platform, await make_team(platform), RunState.RUNNING)
    assert attempting(platform, run) is None
    assert attempting(platform, run, same=False) == PERMISSION
    assert attempting(platform, run, number=0) == CHECK
    opened = await run.open()
    assert attempting(platform, run, number=1) == OPEN_ATTEMPT
    assert attempting(platform, run, number=2) == OPEN_ATTEMPT
    assert attempting(platform, run, step="other") is None
    await run.fail(opened)
    assert attempting(platform, run, number=1) == OPEN_ATTEMPT
    assert attempting(platform, run, number=2) is None
