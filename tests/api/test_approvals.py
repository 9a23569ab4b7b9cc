"""Deciding through the api: who may, on what, until when. Each refusal is clear and recorded."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from animus.domain.access import Role
from animus.domain.runs import RunState
from animus.services import principals
from animus.store.new_ids import new_id
from tests.conftest import RecordCases
from tests.support.clients import Client, problem_of
from tests.support.documents import DIGEST_C, demand, rule
from tests.support.people import Team, grant, make_member, make_service_account, unique
from tests.support.platforms import Member, Platform
from tests.support.policing import put_in_force
from tests.support.runs import DrivenRun, make_run, production_request, submit

pytestmark = pytest.mark.stack

Gate = dict[str, Any]


async def open_gate(client: Client, run: DrivenRun) -> Gate:
    gates = await client.get(f"{run.path}/gates", run.team.viewer)
    (gate,) = [one for one in gates if one["closing"] is None]
    return dict(gate)


async def waiting(platform: Platform, client: Client, team: Team) -> tuple[DrivenRun, Gate]:
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    return run, await open_gate(client, run)


async def waiting_for_account(
    platform: Platform, client: Client, team: Team, *, accountable: Member
) -> tuple[Member, DrivenRun, Gate]:
    """A service account, and a run with the gate whose rule names it."""
    name = unique("bot")
    named = demand(service_accounts=[name])
    await put_in_force(platform, team, rule("bots", "require_approval", approval=named))
    account = await make_service_account(
        platform, team, accountable=accountable, roles=[Role.REVIEWER], name=name
    )
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    gates = await client.get(f"{run.path}/gates", team.viewer)
    return account, run, next(one for one in gates if name in one["rule"]["service_accounts"])


async def inbox(client: Client, team: Team, of: Member) -> list[str]:
    """The gates that are shown to somebody as theirs to decide."""
    return [gate["id"] for gate in await client.get(f"{team.path}/gates", of, mine=True)]


async def decide(
    client: Client, team: Team, gate: Gate, by: Member, *, request_id: str = "", **changes: Any
) -> Any:
    seen = {name: gate[name] for name in ("plan_digest", "review_digest")}
    body = {"verdict": "approve", "reason": "read it"} | seen
    return await client.send(
        "POST", f"{team.path}/gates/{gate['id']}/decisions", by, body | changes,
        headers={"x-request-id": request_id} if request_id else {},
    )  # fmt: skip


async def check_refused(
    platform: Platform, client: Client, team: Team, gate: Gate, by: Member,
    *, status: int, code: str, **changes: Any,
) -> None:  # fmt: skip
    """Refused with this code, recorded as a denial, and nothing is decided."""
    request_id = new_id().hex
    before = await client.get(f"{team.path}/gates/{gate['id']}", team.viewer)
    response = await decide(client, team, gate, by, request_id=request_id, **changes)
    assert problem_of(response, status)["code"] == code
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT e.action, e.result, convert_from(p.payload, 'UTF8')::jsonb->>'code' "
            "FROM audit_events e JOIN audit_payloads p ON p.event_id = e.id "
            "WHERE e.request_id = %s",
            [request_id],
        ).fetchall()
    assert rows == [("access.denied", "denied", code)]
    assert await client.get(f"{team.path}/gates/{gate['id']}", team.viewer) == before


async def test_a_reviewer_approves_and_the_gate_closes(
    platform: Platform, client: Client, team: Team
) -> None:
    run, gate = await waiting(platform, client, team)
    assert [one["id"] for one in await client.get(
        f"{team.path}/gates", team.reviewer, mine=True
    )] == [gate["id"]]  # fmt: skip
    assert await client.get(f"{team.path}/gates", team.editor, mine=True) == []
    decided = await decide(client, team, gate, team.reviewer)
    assert decided.status_code == 201
    assert decided.json()["roles_held"] == ["reviewer"]
    closed = await client.get(f"{team.path}/gates/{gate['id']}", team.viewer)
    assert closed["closing"] == "satisfied"
    await run.revalidate()
    assert (await run.view()).state is RunState.RUNNING


async def test_each_refusal_of_a_waiting_gate(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    """The requester is given the role too: what refuses is that it is the requester's own run."""
    await grant(platform, team, team.editor, Role.REVIEWER)
    _, gate = await waiting(platform, client, team)
    own_account = await make_service_account(
        platform, team, accountable=team.editor, roles=[Role.REVIEWER]
    )
    account = await make_service_account(
        platform, team, accountable=team.reviewer, roles=[Role.REVIEWER]
    )
    cases: tuple[tuple[Member, int, str, dict[str, Any]], ...] = (
        (team.reviewer, 409, "plan_digest_mismatch", {"plan_digest": DIGEST_C}),
        (team.editor, 403, "self_approval", {}),
        (team.viewer, 403, "not_an_approver", {}),
        (team.admin, 403, "not_an_approver", {}),
        (team.auditor, 403, "not_an_approver", {}),
        (account, 403, "not_an_approver", {}),
        (own_account, 403, "not_an_approver", {}),
    )
    for by, status, code, changes in cases:
        await check_refused(platform, client, team, gate, by, status=status, code=code, **changes)
    record_cases("approvals refused", len(cases))


async def test_the_requesters_own_account_does_not_approve_though_the_policy_names_it(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    own, other = unique("bot"), unique("bot")
    named = demand(service_accounts=[own, other])
    await put_in_force(platform, team, rule("bots", "require_approval", approval=named))
    by_requester = await make_service_account(
        platform, team, accountable=team.editor, roles=[Role.REVIEWER], name=own
    )
    by_reviewer = await make_service_account(
        platform, team, accountable=team.reviewer, roles=[Role.REVIEWER], name=other
    )
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    gates = await client.get(f"{run.path}/gates", team.viewer)
    gate = next(one for one in gates if own in one["rule"]["service_accounts"])
    assert gate["id"] not in await inbox(client, team, by_requester)
    assert gate["id"] in await inbox(client, team, by_reviewer)
    await check_refused(
        platform, client, team, gate, by_requester, status=403, code="self_approval"
    )
    decided = await decide(client, team, gate, by_reviewer)
    assert decided.status_code == 201, decided.text
    await check_refused(platform, client, team, gate, team.reviewer, status=409, code="gate_closed")
    record_cases("approvals refused", 2)


async def test_two_persons_are_two_persons(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    bot = unique("bot")
    two = demand(quorum=2, service_accounts=[bot])
    await put_in_force(platform, team, rule("two", "require_approval", approval=two))
    account = await make_service_account(
        platform, team, accountable=team.reviewer, roles=[Role.REVIEWER], name=bot
    )
    second = await make_member(platform, team, Role.REVIEWER)
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    gates = await client.get(f"{run.path}/gates", team.viewer)
    gate = next(one for one in gates if one["rule"]["quorum"] == 2)
    assert gate["id"] in await inbox(client, team, account)
    assert (await decide(client, team, gate, team.reviewer)).status_code == 201
    for again in (team.reviewer, account):
        await check_refused(platform, client, team, gate, again, status=409, code="already_decided")
    read = await client.get(f"{team.path}/gates/{gate['id']}", team.viewer)
    assert read["closing"] is None
    assert gate["id"] not in await inbox(client, team, team.reviewer)
    assert gate["id"] not in await inbox(client, team, account)
    assert gate["id"] in await inbox(client, team, second)
    assert (await decide(client, team, gate, second)).status_code == 201
    read = await client.get(f"{team.path}/gates/{gate['id']}", team.viewer)
    assert read["closing"] == "satisfied"
    record_cases("approvals refused", 2)


async def test_one_rejection_closes_the_gate_whatever_the_quorum(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    run, gate = await waiting(platform, client, team)
    rejected = await decide(client, team, gate, team.reviewer, verdict="reject")
    assert rejected.status_code == 201
    await check_refused(platform, client, team, gate, team.reviewer, status=409, code="gate_closed")
    await run.finalise()
    assert (await run.view()).state is RunState.REJECTED
    await check_refused(platform, client, team, gate, team.reviewer, status=409, code="gate_closed")
    record_cases("approvals refused", 2)


async def test_after_the_deadline_nobody_decides(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    """A gate that was opened long ago, which only the superuser can make up."""
    _, gate = await waiting(platform, client, team)
    late = new_id()
    with psycopg.connect(platform.owner_url) as connection:
        connection.execute(
            "INSERT INTO approval_gates (id, project_id, run_id, generation, plan_digest, "
            "requester_person_id, name, role, quorum, rule, opened_at, deadline) "
            "SELECT %s, project_id, run_id, generation, plan_digest, requester_person_id, 'late', "
            "role, quorum, rule, now() - interval '4 days', now() - interval '1 day' "
            "FROM approval_gates WHERE id = %s",
            [late, gate["id"]],
        )
    late_gate = await client.get(f"{team.path}/gates/{late}", team.viewer)
    await check_refused(
        platform, client, team, late_gate, team.reviewer, status=409, code="gate_expired"
    )
    record_cases("approvals refused", 1)


async def test_a_gate_of_a_plan_that_has_drifted_takes_no_decision(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    """The policy changes between two approvals: the first decision is kept, and counts no more."""
    run, gate = await waiting(platform, client, team)
    assert (await decide(client, team, gate, team.reviewer)).status_code == 201
    await run.settle()
    await put_in_force(platform, team, rule("new", "allow"))
    await run.revalidate()
    assert (await run.view()).state is RunState.AWAITING_APPROVAL
    new = await open_gate(client, run)
    assert (new["generation"], new["plan_digest"] == gate["plan_digest"]) == (2, False)
    await check_refused(
        platform, client, team, gate, team.reviewer, status=409, code="review_stale"
    )
    for changes, code in (
        ({"plan_digest": gate["plan_digest"]}, "plan_digest_mismatch"),
        ({"review_digest": gate["review_digest"]}, "review_stale"),
        ({"review_digest": DIGEST_C}, "review_mismatch"),
    ):
        await check_refused(
            platform, client, team, new, team.reviewer, status=409, code=code, **changes
        )
    kept = await client.get(f"{team.path}/gates/{gate['id']}", team.viewer)
    assert len(kept["decisions"]) == 1
    record_cases("approvals refused", 4)


async def test_an_open_gate_is_voided_by_drift(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    """Two gates, one satisfied; the run ends before the other is decided."""
    admins = demand(role="admin")
    await put_in_force(platform, team, rule("admins", "require_approval", approval=admins))
    run = await submit(platform, team, await production_request(platform, team))
    await run.plan()
    gates = await client.get(f"{run.path}/gates", team.viewer)
    of_admin = next(one for one in gates if one["rule"]["role"] == "admin")
    await run.cancel()
    await run.finalise()
    read = await client.get(f"{team.path}/gates/{of_admin['id']}", team.viewer)
    assert read["closing"] == "voided"
    await check_refused(
        platform, client, team, of_admin, team.admin, status=409, code="gate_closed"
    )
    record_cases("approvals refused", 1)


async def test_of_two_at_the_same_time_both_count_or_one_is_told(
    platform: Platform, client: Client, team: Team
) -> None:
    _, gate = await waiting(platform, client, team)
    second = await make_member(platform, team, Role.REVIEWER)
    answers = await asyncio.gather(
        decide(client, team, gate, team.reviewer),
        decide(client, team, gate, second, verdict="reject"),
        decide(client, team, gate, team.reviewer),
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    read = await client.get(f"{team.path}/gates/{gate['id']}", team.viewer)
    assert len(read["decisions"]) == 1


async def test_whoever_lost_the_role_decides_no_more_and_what_was_decided_stays(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    _, first = await waiting(platform, client, team)
    assert (await decide(client, team, first, team.reviewer)).status_code == 201
    bindings = await client.get(f"{team.path}/role-bindings", team.admin)
    mine = next(one for one in bindings if one["principal_id"] == str(team.reviewer.id))
    await grant(platform, team, team.reviewer, Role.VIEWER)
    await client.post(f"{team.path}/role-bindings/{mine['id']}:revoke", team.admin)
    _, gate = await waiting(platform, client, team)
    await check_refused(
        platform, client, team, gate, team.reviewer, status=403, code="not_an_approver"
    )
    kept = await client.get(f"{team.path}/gates/{first['id']}", team.viewer)
    assert kept["decisions"][0]["roles_held"] == ["reviewer"]
    record_cases("approvals refused", 1)


async def test_a_disabled_person_is_no_second_pair_of_eyes(
    platform: Platform, client: Client, team: Team
) -> None:
    _, gate = await waiting(platform, client, team)
    call = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        await principals.disable_principal(uow, call, team.reviewer.id)
    problem_of(await decide(client, team, gate, team.reviewer), 401)
