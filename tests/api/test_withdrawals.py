"""Taking a decision back through the api: who may, until when, and what becomes of the gate."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from animus.domain.access import Role
from animus.domain.runs import RunState, WaitingFor
from animus.services.queues import QUEUE_LIFE
from animus.services.run_positions import Standing
from animus.store.new_ids import new_id
from animusd.wiring import utc_now
from tests.api.test_approvals import decide, inbox, waiting, waiting_for_account
from tests.conftest import RecordCases
from tests.support.clients import Client, problem_of
from tests.support.databases import table, unguarded
from tests.support.documents import demand, rule
from tests.support.limits import limit_project
from tests.support.people import Team, make_member, make_service_account
from tests.support.platforms import Member, Platform
from tests.support.policing import put_in_force
from tests.support.runs import DrivenRun, make_run, submit

pytestmark = pytest.mark.stack


async def withdraw(
    client: Client, team: Team, decision: Any, by: Member, *, request_id: str = "", **changes: Any
) -> Any:
    return await client.send(
        "POST", f"{team.path}/decisions/{decision['id']}/withdrawal", by,
        {"reason": "read it again"} | changes,
        headers={"x-request-id": request_id} if request_id else {},
    )  # fmt: skip


async def approved(client: Client, team: Team, gate: Any, by: Member, **changes: Any) -> Any:
    answer = await decide(client, team, gate, by, **changes)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def look(client: Client, team: Team, gate: Any) -> Any:
    return await client.get(f"{team.path}/gates/{gate['id']}", team.viewer)


def audited(platform: Platform, run: DrivenRun) -> Counter[str]:
    """What was recorded of decisions and gates of a run."""
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT action FROM audit_events WHERE run_id = %s AND starts_with(action, 'gate.')",
            [run.id],
        ).fetchall()
    return Counter(action for (action,) in rows)


async def check_refused(
    platform: Platform, client: Client, team: Team, decision: Any, by: Member,
    *, status: int, code: str,
) -> None:  # fmt: skip
    """Refused with this code, recorded as a denial, and nothing is taken back."""
    request_id = new_id().hex
    gate = {"id": decision["gate_id"]}
    before = await look(client, team, gate)
    response = await withdraw(client, team, decision, by, request_id=request_id)
    assert problem_of(response, status)["code"] == code
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT e.action, convert_from(p.payload, 'UTF8')::jsonb->>'code' FROM audit_events e "
            "JOIN audit_payloads p ON p.event_id = e.id WHERE e.request_id = %s",
            [request_id],
        ).fetchall()
    assert rows == [("access.denied", code)]
    assert await look(client, team, gate) == before


async def test_a_withdrawn_approval_opens_the_gate_again_and_stays_on_record(
    platform: Platform, client: Client, team: Team
) -> None:
    run, gate = await waiting(platform, client, team)
    decision = await approved(client, team, gate, team.reviewer)
    assert decision["withdrawal"] is None
    answer = await withdraw(client, team, decision, team.reviewer)
    assert answer.status_code == 201
    said = answer.json()
    assert said["id"] == decision["id"]
    assert said["withdrawal"]["reason"] == "read it again"
    assert said["withdrawal"]["principal"] == team.reviewer.name
    seen = await look(client, team, gate)
    assert (seen["closing"], seen["closed_at"]) == (None, None)
    assert seen["decisions"] == [said]
    assert gate["id"] in await inbox(client, team, team.reviewer)
    assert (await run.settle()).standing is Standing.APPROVE
    assert audited(platform, run) == Counter(
        ["gate.opened", "gate.approved", "gate.closed", "gate.decision_withdrawn", "gate.reopened"]
    )
    with psycopg.connect(platform.owner_url) as connection:
        named = connection.execute(
            "SELECT action, actor_id FROM audit_events WHERE id = %s",
            [said["withdrawal"]["audit_event_id"]],
        ).fetchone()
    assert named == ("gate.decision_withdrawn", team.reviewer.id)


async def test_whoever_took_a_decision_back_may_decide_again(
    platform: Platform, client: Client, team: Team
) -> None:
    run, gate = await waiting(platform, client, team)
    for _ in range(3):
        decision = await approved(client, team, gate, team.reviewer)
        assert (await look(client, team, gate))["closing"] == "satisfied"
        assert (await withdraw(client, team, decision, team.reviewer)).status_code == 201
        assert (await look(client, team, gate))["closing"] is None
    await approved(client, team, gate, team.reviewer)
    await run.settle()
    await run.revalidate()
    assert (await run.view()).state is RunState.RUNNING
    assert len((await look(client, team, gate))["decisions"]) == 4
    own = await client.get(f"{team.path}/decisions", team.reviewer, mine=True, run_id=str(run.id))
    withdrawn = [one["decision"]["withdrawal"] is not None for one in own["decisions"]]
    assert withdrawn == [False, True, True, True]


async def test_one_of_two_approvals_is_taken_back_and_the_other_counts(
    platform: Platform, client: Client, team: Team
) -> None:
    two = demand(quorum=2)
    await put_in_force(platform, team, rule("two", "require_approval", approval=two))
    second = await make_member(platform, team, Role.REVIEWER)
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    gates = await client.get(f"{run.path}/gates", team.viewer)
    gate = next(one for one in gates if one["rule"]["quorum"] == 2)
    first = await approved(client, team, gate, team.reviewer)
    assert (await withdraw(client, team, first, team.reviewer)).status_code == 201  # still open
    await approved(client, team, gate, team.reviewer)
    closing = await approved(client, team, gate, second)
    assert (await look(client, team, gate))["closing"] == "satisfied"
    assert (await withdraw(client, team, closing, second)).status_code == 201
    seen = await look(client, team, gate)
    assert seen["closing"] is None
    assert [one["withdrawal"] is None for one in seen["decisions"]] == [False, True, False]
    await approved(client, team, gate, second)
    assert (await look(client, team, gate))["closing"] == "satisfied"


async def test_a_rejection_is_taken_back_until_the_run_has_ended(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    run, gate = await waiting(platform, client, team)
    rejection = await approved(client, team, gate, team.reviewer, verdict="reject")
    assert (await withdraw(client, team, rejection, team.reviewer)).status_code == 201
    assert (await run.finalise()).standing is Standing.APPROVE
    assert (await run.view()).state is RunState.AWAITING_APPROVAL
    rejection = await approved(client, team, gate, team.reviewer, verdict="reject")
    await run.finalise()
    assert (await run.view()).state is RunState.REJECTED
    await check_refused(
        platform, client, team, rejection, team.reviewer, status=409, code="withdrawal_too_late"
    )
    record_cases("withdrawals refused", 1)


async def test_each_refusal(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    run, gate = await waiting(platform, client, team)
    other = await make_member(platform, team, Role.REVIEWER)
    account = await make_service_account(
        platform, team, accountable=team.reviewer, roles=[Role.REVIEWER]
    )
    decision = await approved(client, team, gate, team.reviewer)
    for by in (other, account, team.admin, team.editor):
        await check_refused(
            platform, client, team, decision, by, status=403, code="not_your_decision"
        )
    unknown = {"id": new_id(), "gate_id": gate["id"]}
    problem_of(await withdraw(client, team, unknown, team.reviewer), 404)
    problem_of(await withdraw(client, team, decision, team.reviewer, reason=""), 422)
    hidden = "ghp_" + "a1B2" * 9
    problem_of(await withdraw(client, team, decision, team.reviewer, reason=hidden), 422)
    assert (await withdraw(client, team, decision, team.reviewer)).status_code == 201
    await check_refused(
        platform, client, team, decision, team.reviewer, status=409, code="already_withdrawn"
    )
    again = await approved(client, team, gate, team.reviewer)
    await run.settle()
    await run.revalidate()
    await check_refused(
        platform, client, team, again, team.reviewer, status=409, code="withdrawal_too_late"
    )
    record_cases("withdrawals refused", 9)


async def test_of_an_earlier_generation_there_is_nothing_to_take_back(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    run, gate = await waiting(platform, client, team)
    decision = await approved(client, team, gate, team.reviewer)
    await run.settle()
    await put_in_force(platform, team, rule("new", "allow"))
    await run.revalidate()
    await check_refused(
        platform, client, team, decision, team.reviewer, status=409, code="review_stale"
    )
    record_cases("withdrawals refused", 1)


async def test_a_person_takes_back_what_an_account_that_it_answers_for_said(
    platform: Platform, client: Client, team: Team
) -> None:
    account, _, gate = await waiting_for_account(platform, client, team, accountable=team.reviewer)
    for by in (account, team.reviewer):
        decision = await approved(client, team, gate, account)
        answer = await withdraw(client, team, decision, by)
        assert answer.status_code == 201, answer.text
        assert answer.json()["withdrawal"]["principal"] == by.name


async def test_repeating_with_the_key_gives_the_same_withdrawal(
    platform: Platform, client: Client, team: Team
) -> None:
    _, gate = await waiting(platform, client, team)
    decision = await approved(client, team, gate, team.reviewer)
    path = f"{team.path}/decisions/{decision['id']}/withdrawal"
    said = {"reason": "read it again"}
    first = await client.post(path, team.reviewer, said, idempotency_key="w")
    assert await client.post(path, team.reviewer, said, idempotency_key="w") == first


async def test_a_gate_whose_deadline_has_passed_is_not_opened_again(
    platform: Platform, client: Client, team: Team
) -> None:
    """It was satisfied only by what is taken back, and nobody else said yes in time."""
    run, gate = await waiting(platform, client, team)
    decision = await approved(client, team, gate, team.reviewer)
    with (
        psycopg.connect(platform.owner_url) as connection,
        unguarded(connection, "approval_gates"),
    ):
        connection.execute(
            "UPDATE approval_gates SET opened_at = now() - interval '2 days', "
            "deadline = now() - interval '1 second' WHERE id = %s",
            [gate["id"]],
        )
    assert (await withdraw(client, team, decision, team.reviewer)).status_code == 201
    assert (await look(client, team, gate))["closing"] == "expired"
    await run.finalise()
    assert (await run.view()).state is RunState.EXPIRED


async def queued(
    platform: Platform, client: Client, team: Team
) -> tuple[DrivenRun, DrivenRun, Any]:
    """The only run that the project may have at once, one that waits behind it, and the gate that
    this one passed."""
    ahead = await submit(platform, team)
    await ahead.plan()
    await limit_project(platform, team, {"runs": 1})
    await ahead.revalidate()
    run, gate = await waiting(platform, client, team)
    await run.decide()
    await run.settle()
    assert (await run.revalidate()).standing is Standing.QUEUE
    return ahead, run, gate


async def test_days_out_of_the_queue_are_no_days_of_waiting(
    platform: Platform, client: Client, team: Team
) -> None:
    """Of its week it waited three hours, thrice; in between it was away for eight days, twice."""
    ahead, run, _ = await queued(platform, client, team)
    for _ in range(2):
        backdate(platform, run, timedelta(hours=3))
        await run.withdraw()
        assert (await run.revalidate()).standing is Standing.APPROVE
        backdate(platform, run, timedelta(days=8))
        await run.decide()
        assert (await run.settle()).standing is Standing.REVALIDATE
        assert (await run.revalidate()).standing is Standing.QUEUE
    until = (await run.view()).deadline
    assert until is not None
    left = until - utc_now()
    assert timedelta(hours=-1) < left - (QUEUE_LIFE - timedelta(hours=6)) < timedelta(minutes=1)
    for one in (ahead, run):
        await one.cancel()
        await one.finalise()


def backdate(platform: Platform, run: DrivenRun, by: timedelta) -> None:
    """Whatever is recorded of its stays in the queue was so much earlier."""
    moments = {
        "queue_entries": "enqueued_at", "queue_departures": "left_at", "gate_closures": "closed_at",
    }  # fmt: skip
    with psycopg.connect(platform.owner_url) as connection:
        for name, column in moments.items():
            earlier = sql.SQL("UPDATE {0} SET {1} = {1} - %s WHERE run_id = %s")
            with unguarded(connection, name):
                connection.execute(
                    earlier.format(table(name), sql.Identifier(column)), [by, run.id]
                )


async def test_a_run_that_waited_for_room_goes_back_and_keeps_its_place(
    platform: Platform, client: Client, team: Team
) -> None:
    ahead, run, gate = await queued(platform, client, team)
    await run.withdraw()
    assert (await run.revalidate()).standing is Standing.APPROVE
    back = await run.view()
    assert (back.waiting_for, back.state) == (WaitingFor.APPROVAL, RunState.AWAITING_APPROVAL)
    assert back.deadline is not None
    assert back.deadline.isoformat() == gate["deadline"].replace("Z", "+00:00")
    assert await client.get(f"{team.path}/queue", team.viewer) == []
    later = await submit(platform, team)
    await later.plan()
    assert (await later.revalidate()).standing is Standing.QUEUE
    await run.decide()
    assert (await run.settle()).standing is Standing.REVALIDATE
    assert (await run.revalidate()).standing is Standing.QUEUE
    places = await client.get(f"{team.path}/queue", team.viewer)
    since = datetime.fromisoformat(places[0]["enqueued_at"])
    until = (await run.view()).deadline
    assert until is not None
    assert (
        since + QUEUE_LIFE < until < since + QUEUE_LIFE + timedelta(minutes=5)
    )  # but for being away
    assert [one["run_id"] for one in places] == [str(run.id), str(later.id)]
    for one in (ahead, run, later):
        await one.cancel()
        await one.finalise()
