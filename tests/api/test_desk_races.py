"""People at one desk at once, and against the start: one right answer each, audited once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any

import psycopg
import pytest

from animus.domain.access import Role
from animus.domain.runs import RunState, WaitingFor
from animus.services import queues
from animus.services.run_positions import Standing
from tests.api.test_approvals import decide, waiting
from tests.api.test_withdrawals import approved, audited, look, withdraw
from tests.support.clients import Client
from tests.support.documents import demand, rule
from tests.support.limits import limit_project
from tests.support.people import Team, grant, make_member
from tests.support.platforms import Member, Platform, system_call
from tests.support.policing import put_in_force
from tests.support.runs import DrivenRun, make_run, submit

pytestmark = pytest.mark.stack

ROUNDS = 12
LEADS = {0: (0.0, 1.0), 1: (1.0, 0.0)}
"""Rounds in which it is sure who comes first, by the seconds that each of the two waits before; the
others are as it happens."""


async def second_reviewer(platform: Platform, team: Team) -> Member:
    second = await make_member(platform, team, Role.REVIEWER)
    return second


async def waiting_for_two(
    platform: Platform, client: Client, team: Team
) -> tuple[DrivenRun, dict[str, Any]]:
    """Only the one gate, of two persons, is open."""
    two = demand(quorum=2)
    await put_in_force(platform, team, rule("two", "require_approval", approval=two))
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    (gate,) = [
        one
        for one in await client.get(f"{run.path}/gates", team.viewer)
        if one["rule"]["quorum"] == 2
    ]
    return run, gate


async def after(seconds: float, asked: Awaitable[Any]) -> Any:
    await asyncio.sleep(seconds)
    return await asked


async def test_of_two_reviewers_at_once_one_closes_a_gate_of_one(
    platform: Platform, client: Client, team: Team
) -> None:
    second = await second_reviewer(platform, team)
    for _ in range(ROUNDS):
        run, gate = await waiting(platform, client, team)
        answers = await asyncio.gather(
            decide(client, team, gate, team.reviewer), decide(client, team, gate, second)
        )
        told = sorted((one.status_code, one.json().get("code", "")) for one in answers)
        assert told == [(201, ""), (409, "gate_closed")]
        assert audited(platform, run) == Counter(["gate.opened", "gate.approved", "gate.closed"])
        assert (await look(client, team, gate))["closing"] == "satisfied"


async def test_two_reviewers_at_once_are_a_quorum_of_two(
    platform: Platform, client: Client, team: Team
) -> None:
    second = await second_reviewer(platform, team)
    run, gate = await waiting_for_two(platform, client, team)
    answers = await asyncio.gather(
        *(decide(client, team, gate, by) for by in (team.reviewer, second, team.reviewer, second))
    )
    assert sorted(one.status_code for one in answers) == [201, 201, 409, 409]
    told = {one.json()["code"] for one in answers if one.status_code == 409}
    assert told <= {"already_decided", "gate_closed"}
    seen = await look(client, team, gate)
    assert (seen["closing"], len(seen["decisions"])) == ("satisfied", 2)
    assert audited(platform, run)["gate.approved"] == 2
    assert audited(platform, run)["gate.closed"] == 1


async def test_the_same_person_twice_at_once_decides_once(
    platform: Platform, client: Client, team: Team
) -> None:
    run, gate = await waiting_for_two(platform, client, team)
    answers = await asyncio.gather(*(decide(client, team, gate, team.reviewer) for _ in range(6)))
    assert sorted(one.status_code for one in answers) == [201] + [409] * 5
    assert {one.json()["code"] for one in answers if one.status_code == 409} == {"already_decided"}
    assert audited(platform, run)["gate.approved"] == 1
    assert (await look(client, team, gate))["closing"] is None


async def test_a_withdrawal_against_the_start_comes_before_it_or_too_late(
    platform: Platform, client: Client, team: Team
) -> None:
    """Whichever commits first: withdrawn and not started, or started and too late."""
    told: Counter[int] = Counter()
    for round_ in range(2 * ROUNDS):
        run, gate = await waiting(platform, client, team)
        decision = await approved(client, team, gate, team.reviewer)
        await run.settle()
        taking, starting = LEADS.get(round_, ((round_ % 6) * 0.01, (round_ % 4) * 0.01))
        answer, _ = await asyncio.gather(
            after(taking, withdraw(client, team, decision, team.reviewer)),
            after(starting, run.revalidate()),
        )
        view, counted = await run.view(), audited(platform, run)
        told[answer.status_code] += 1
        if answer.status_code == 201:
            assert view.state is RunState.AWAITING_APPROVAL
            assert (await run.revalidate()).standing is Standing.APPROVE
            assert (await run.view()).waiting_for is WaitingFor.APPROVAL
            assert (counted["gate.decision_withdrawn"], counted["gate.reopened"]) == (1, 1)
        else:
            assert answer.json()["code"] == "withdrawal_too_late"
            assert view.state is RunState.RUNNING
            assert (counted["gate.decision_withdrawn"], counted["gate.reopened"]) == (0, 0)
        await _end(run)
    assert set(told) == {201, 409}, told


async def test_a_withdrawal_against_a_second_approval_leaves_one_that_counts(
    platform: Platform, client: Client, team: Team
) -> None:
    second = await second_reviewer(platform, team)
    await put_in_force(platform, team, rule("two", "require_approval", approval=demand(quorum=2)))
    for _ in range(ROUNDS):
        run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
        (gate,) = [
            one
            for one in await client.get(f"{run.path}/gates", team.viewer)
            if one["rule"]["quorum"] == 2
        ]
        decision = await approved(client, team, gate, team.reviewer)
        taken, given = await asyncio.gather(
            withdraw(client, team, decision, team.reviewer), decide(client, team, gate, second)
        )
        assert (taken.status_code, given.status_code) == (201, 201)
        seen = await look(client, team, gate)
        assert seen["closing"] is None
        assert [one["withdrawal"] is None for one in seen["decisions"]].count(True) == 1
        counted = audited(platform, run)
        assert counted["gate.closed"] == counted["gate.reopened"]  # both or neither
        await approved(client, team, gate, team.reviewer)
        assert (await look(client, team, gate))["closing"] == "satisfied"


async def test_the_same_decision_is_withdrawn_once_however_often_at_once(
    platform: Platform, client: Client, team: Team
) -> None:
    run, gate = await waiting(platform, client, team)
    decision = await approved(client, team, gate, team.reviewer)
    answers = await asyncio.gather(
        *(withdraw(client, team, decision, team.reviewer) for _ in range(6))
    )
    assert sorted(one.status_code for one in answers) == [201] + [409] * 5
    assert audited(platform, run)["gate.decision_withdrawn"] == 1


async def test_a_withdrawal_against_being_let_in_gives_the_place_back(
    platform: Platform, client: Client, team: Team
) -> None:
    """Nobody holds room while people think, whichever came first."""
    await limit_project(platform, team, {"runs": 1})
    for round_ in range(ROUNDS):
        ahead = await submit(platform, team)
        await ahead.plan()
        await ahead.revalidate()
        run, gate = await waiting(platform, client, team)
        decision = await approved(client, team, gate, team.reviewer)
        await run.settle()
        assert (await run.revalidate()).standing is Standing.QUEUE
        await ahead.cancel()
        await ahead.finalise()
        taken, *_ = await asyncio.gather(
            after((round_ % 3) * 0.01, withdraw(client, team, decision, team.reviewer)),
            _look(platform),
            after((round_ % 4) * 0.01, run.revalidate()),
        )
        here = await run.revalidate()
        if taken.status_code == 409:  # let in, and begun, before
            assert here.standing is Standing.EXECUTE
            await _end(run)
            continue
        assert here.standing is Standing.APPROVE
        assert (await run.view()).waiting_for is WaitingFor.APPROVAL
        other = await submit(platform, team)
        await other.plan()
        assert (await other.revalidate()).standing is Standing.EXECUTE  # there is room
        await approved(client, team, gate, team.reviewer)
        await run.settle()
        assert (await run.revalidate()).standing is Standing.QUEUE
        await _end(run, other)


async def _look(platform: Platform) -> None:
    async with platform.worker.write() as uow:
        await queues.admit_waiting(uow, system_call())


async def _end(*runs: DrivenRun) -> None:
    for run in runs:
        await run.cancel()
        await run.finalise()


async def test_a_role_that_is_revoked_after_approving_undoes_no_approval(
    platform: Platform, client: Client, team: Team
) -> None:
    """The decision was right when it was made; the roles held then are recorded with it."""
    run, gate = await waiting(platform, client, team)
    decision = await approved(client, team, gate, team.reviewer)
    bindings = await client.get(f"{team.path}/role-bindings", team.admin)
    mine = next(one for one in bindings if one["principal_id"] == str(team.reviewer.id))
    await grant(platform, team, team.reviewer, Role.VIEWER)
    await client.post(f"{team.path}/role-bindings/{mine['id']}:revoke", team.admin)
    await run.settle()
    await run.revalidate()
    assert (await run.view()).state is RunState.RUNNING
    kept = (await look(client, team, gate))["decisions"]
    assert [(one["id"], one["roles_held"]) for one in kept] == [(decision["id"], ["reviewer"])]
    with psycopg.connect(platform.owner_url) as connection:
        revoked = connection.execute(
            "SELECT count(*) FROM audit_events WHERE project_id = %s AND action = 'role.revoked'",
            [team.project_id],
        ).fetchone()
    assert revoked == (1,)
    assert audited(platform, run)["gate.approved"] == 1


async def test_whoever_lost_the_role_may_still_take_back_what_was_said(
    platform: Platform, client: Client, team: Team
) -> None:
    _, gate = await waiting(platform, client, team)
    decision = await approved(client, team, gate, team.reviewer)
    bindings = await client.get(f"{team.path}/role-bindings", team.admin)
    mine = next(one for one in bindings if one["principal_id"] == str(team.reviewer.id))
    await grant(platform, team, team.reviewer, Role.VIEWER)
    await client.post(f"{team.path}/role-bindings/{mine['id']}:revoke", team.admin)
    assert (await withdraw(client, team, decision, team.reviewer)).status_code == 201
    again = await decide(client, team, gate, team.reviewer)
    assert (again.status_code, again.json()["code"]) == (403, "not_an_approver")
