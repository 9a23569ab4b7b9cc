"""Questions to the requester: who may ask and answer, until when, and what they leave alone."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg
import pytest

from animus.domain.access import Role
from animus.domain.questions import MAX_LENGTH, MAX_QUESTIONS
from animus.domain.runs import RunState
from animus.services import audit_events
from animus.store.new_ids import new_id
from tests.api.test_approvals import Gate, decide, open_gate, waiting, waiting_for_account
from tests.conftest import RecordCases
from tests.support.clients import Client, problem_of
from tests.support.documents import demand, rule
from tests.support.people import Team, grant, make_member, make_service_account
from tests.support.platforms import Member, Platform
from tests.support.policing import put_in_force
from tests.support.reviews import HOSTILE
from tests.support.runs import make_run

pytestmark = pytest.mark.stack

Question = dict[str, Any]


async def ask(
    client: Client, team: Team, gate: Gate, by: Member, text: str = "why so early?", **headers: str
) -> httpx.Response:
    path = f"{team.path}/gates/{gate['id']}/questions"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.send("POST", path, by, {"text": text}, headers=named)


async def asked(client: Client, team: Team, gate: Gate, text: str = "why so early?") -> Question:
    response = await ask(client, team, gate, team.reviewer, text)
    assert response.status_code == 201, response.text
    return dict(response.json())


async def answer(
    client: Client, team: Team, question: Question, by: Member, text: str = "because",
    **headers: str,
) -> httpx.Response:  # fmt: skip
    path = f"{team.path}/questions/{question['id']}/answer"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.send("POST", path, by, {"text": text}, headers=named)


async def listed(client: Client, team: Team, gate: Gate) -> list[Question]:
    return list(await client.get(f"{team.path}/gates/{gate['id']}/questions", team.viewer))


def recorded(platform: Platform, **wanted: str) -> list[tuple[str, str]]:
    """(action, text) of the audit events of a request."""
    with psycopg.connect(platform.owner_url) as connection:
        return connection.execute(
            "SELECT e.action, convert_from(p.payload, 'UTF8')::jsonb->>'text' FROM audit_events e"
            " JOIN audit_payloads p ON p.event_id = e.id WHERE e.request_id = %s",
            [wanted["request_id"]],
        ).fetchall()


async def test_a_question_and_its_answer_stand_on_the_run_and_beside_the_review(
    platform: Platform, client: Client, team: Team
) -> None:
    run, gate = await waiting(platform, client, team)
    request_id = new_id().hex
    told = await ask(client, team, gate, team.reviewer, "which data?", x_request_id=request_id)
    assert told.status_code == 201
    question = told.json()
    assert (question["number"], question["answer"]) == (1, None)
    assert (question["principal"], question["roles_held"]) == (team.reviewer.name, ["reviewer"])
    assert recorded(platform, request_id=request_id) == [("gate.question_asked", "which data?")]
    request_id = new_id().hex
    said = await answer(client, team, question, team.editor, "march", x_request_id=request_id)
    assert said.status_code == 201
    assert said.json()["answer"]["text"] == "march"
    assert recorded(platform, request_id=request_id) == [("gate.question_answered", "march")]
    (on_gate,) = await listed(client, team, gate)
    (on_run,) = (await client.get(run.path, team.viewer))["questions"]
    review = await client.get(f"{team.path}/gates/{gate['id']}/review", team.viewer)
    (beside,) = review["beside"]["questions"]
    assert on_gate == on_run == beside == said.json()
    assert review["review_digest"] == gate["review_digest"]
    explained = await client.get(f"{run.path}/explanation", team.viewer)
    assert explained["run"]["questions"] == [on_gate]


async def test_watchers_of_the_run_are_told_and_nothing_moves(
    platform: Platform, client: Client, team: Team
) -> None:
    run, gate = await waiting(platform, client, team)
    before = await run.view()
    question = await asked(client, team, gate)
    assert (await answer(client, team, question, team.editor)).status_code == 201
    while await audit_events.integrate(platform.worker):
        pass
    stream = await client.send("GET", f"{run.path}/events?follow=false", team.viewer)
    events = [line for line in stream.text.splitlines() if line.startswith("event: ")]
    assert "event: gate.question_asked" in events
    assert "event: gate.question_answered" in events
    assert await run.view() == before


async def test_who_may_not_decide_may_not_ask(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    await grant(platform, team, team.editor, Role.REVIEWER)
    _, gate = await waiting(platform, client, team)
    account = await make_service_account(
        platform, team, accountable=team.reviewer, roles=[Role.REVIEWER]
    )
    cases = (
        (team.editor, "self_approval"),
        (team.viewer, "not_an_approver"),
        (team.admin, "not_an_approver"),
        (team.auditor, "not_an_approver"),
        (account, "not_an_approver"),
    )
    for by, code in cases:
        problem = problem_of(await ask(client, team, gate, by), 403)
        assert problem["code"] == code
    assert await listed(client, team, gate) == []
    record_cases("questions refused", len(cases))


async def test_only_who_asked_for_the_run_answers_with_accounts_and_persons_for_each_other(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    own = await make_service_account(platform, team, accountable=team.editor, roles=[Role.EDITOR])
    other = await make_service_account(platform, team, accountable=team.admin, roles=[Role.EDITOR])
    second = await make_member(platform, team, Role.EDITOR)
    _, gate = await waiting(platform, client, team)
    questions = [await asked(client, team, gate, f"question {n}") for n in range(2)]
    for by in (team.reviewer, team.viewer, team.admin, second, other):
        problem = problem_of(await answer(client, team, questions[0], by), 403)
        assert problem["code"] == "not_the_requester"
    assert [one["answer"] for one in await listed(client, team, gate)] == [None, None]
    for question, by in zip(questions, (team.editor, own), strict=True):
        assert (await answer(client, team, question, by)).status_code == 201
    record_cases("questions refused", 5)


async def test_a_question_has_one_answer_even_of_two_at_once(
    platform: Platform, client: Client, team: Team
) -> None:
    _, gate = await waiting(platform, client, team)
    question = await asked(client, team, gate)
    answers = await asyncio.gather(
        *(answer(client, team, question, team.editor, f"answer {n}") for n in range(4))
    )
    assert sorted(one.status_code for one in answers) == [201, 409, 409, 409]
    (kept,) = [one for one in answers if one.status_code == 201]
    assert {one.json()["code"] for one in answers if one is not kept} == {"already_answered"}
    assert await listed(client, team, gate) == [kept.json()]


async def test_questions_at_once_are_numbered_without_a_gap_across_gates(
    platform: Platform, client: Client, team: Team
) -> None:
    both = demand(role="admin")
    await put_in_force(platform, team, rule("admins", "require_approval", approval=both))
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    gates = await client.get(f"{run.path}/gates", team.viewer)
    by_role = {"admin": team.admin, "reviewer": team.reviewer}
    asking = [
        ask(client, team, gate, by_role[gate["rule"]["role"]], f"{gate['name']} {n}")
        for gate in gates
        for n in range(4)
    ]
    answers = await asyncio.gather(*asking)
    assert {one.status_code for one in answers} == {201}
    questions = (await client.get(run.path, team.viewer))["questions"]
    assert [one["number"] for one in questions] == list(range(1, len(asking) + 1))
    for gate in gates:
        own = [one for one in questions if one["gate_id"] == gate["id"]]
        assert await listed(client, team, gate) == own


async def test_repeated_with_its_key_it_is_asked_and_answered_once(
    platform: Platform, client: Client, team: Team
) -> None:
    _, gate = await waiting(platform, client, team)
    key = new_id().hex
    first, again = [
        await ask(client, team, gate, team.reviewer, idempotency_key=key) for _ in range(2)
    ]
    assert (first.status_code, again.json()) == (201, first.json())
    said, repeated = [
        await answer(client, team, first.json(), team.editor, idempotency_key=key) for _ in range(2)
    ]
    assert (said.status_code, repeated.json()) == (201, said.json())
    assert await listed(client, team, gate) == [said.json()]


async def test_a_closed_gate_takes_no_question_and_an_ended_run_no_answer(
    platform: Platform, client: Client, team: Team
) -> None:
    run, gate = await waiting(platform, client, team)
    questions = [await asked(client, team, gate, f"question {n}") for n in range(2)]
    assert (await decide(client, team, gate, team.reviewer)).status_code == 201
    problem = problem_of(await ask(client, team, gate, team.reviewer), 409)
    assert problem["code"] == "gate_closed"
    assert (await answer(client, team, questions[0], team.editor)).status_code == 201
    await run.cancel()
    await run.finalise()
    problem = problem_of(await answer(client, team, questions[1], team.editor), 409)
    assert problem["code"] == "run_ended"
    problem = problem_of(await ask(client, team, gate, team.reviewer), 409)
    assert problem["code"] == "run_ended"
    assert len(await listed(client, team, gate)) == 2


async def test_asking_and_closing_at_once_have_one_right_answer(
    platform: Platform, client: Client, team: Team
) -> None:
    """The first commit wins: a question that was taken stands before the gate's closing."""
    _, gate = await waiting(platform, client, team)
    second = await make_member(platform, team, Role.REVIEWER)
    results = await asyncio.gather(
        *(ask(client, team, gate, second, f"question {n}") for n in range(4)),
        decide(client, team, gate, team.reviewer),
    )
    assert results[-1].status_code == 201
    assert {one.status_code for one in results[:-1]} <= {201, 409}
    taken = [one.json()["asked_at"] for one in results[:-1] if one.status_code == 201]
    closed = await client.get(f"{team.path}/gates/{gate['id']}", team.viewer)
    assert all(moment < closed["closed_at"] for moment in taken)
    assert len(await listed(client, team, gate)) == len(taken)


async def test_a_quorum_of_two_is_reached_while_questions_and_runs_come_in(
    platform: Platform, client: Client, team: Team
) -> None:
    await put_in_force(platform, team, rule("two", "require_approval", approval=demand(quorum=2)))
    second = await make_member(platform, team, Role.REVIEWER)
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    gate = await open_gate(client, run)
    question = await asked(client, team, gate)
    answers = await asyncio.gather(
        decide(client, team, gate, team.reviewer),
        ask(client, team, gate, second, "and the metrics?"),
        make_run(platform, team, RunState.AWAITING_APPROVAL),
        answer(client, team, question, team.editor),
    )
    assert [one.status_code for one in (answers[0], answers[1], answers[3])] == [201, 201, 201]
    assert (await decide(client, team, gate, second)).status_code == 201
    closed = await client.get(f"{team.path}/gates/{gate['id']}", team.viewer)
    assert (closed["closing"], closed["review_digest"]) == ("satisfied", gate["review_digest"])
    assert (await run.view()).generation == gate["generation"]


async def test_questions_of_an_earlier_generation_are_shown_beside_the_newer_review(
    platform: Platform, client: Client, team: Team
) -> None:
    run, gate = await waiting(platform, client, team)
    question = await asked(client, team, gate)
    assert (await decide(client, team, gate, team.reviewer)).status_code == 201
    await run.settle()
    await put_in_force(platform, team, rule("new", "allow"))
    await run.revalidate()
    newer = await open_gate(client, run)
    assert newer["generation"] == 2
    review = await client.get(f"{team.path}/gates/{newer['id']}/review", team.viewer)
    assert [one["id"] for one in review["beside"]["questions"]] == [question["id"]]
    assert await listed(client, team, newer) == []


async def test_a_service_account_that_the_policy_names_may_ask(
    platform: Platform, client: Client, team: Team
) -> None:
    account, _, gate = await waiting_for_account(platform, client, team, accountable=team.reviewer)
    assert (await ask(client, team, gate, account)).status_code == 201


async def test_a_gate_takes_so_many_questions_and_no_more(
    platform: Platform, client: Client, team: Team
) -> None:
    _, gate = await waiting(platform, client, team)
    for number in range(MAX_QUESTIONS):
        assert (await asked(client, team, gate))["number"] == number + 1
    problem = problem_of(await ask(client, team, gate, team.reviewer), 409)
    assert problem["code"] == "too_many_questions"
    assert (await decide(client, team, gate, team.reviewer)).status_code == 201


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "a" * (MAX_LENGTH + 1), None, 7, ["a"]])
async def test_what_is_no_text_is_refused(
    platform: Platform, client: Client, team: Team, text: Any
) -> None:
    _, gate = await waiting(platform, client, team)
    question = await asked(client, team, gate)
    for response in (
        await ask(client, team, gate, team.reviewer, text),
        await answer(client, team, question, team.editor, text),
    ):
        assert problem_of(response, 422)["code"] == "invalid_request"
    assert await listed(client, team, gate) == [question]


async def test_a_credential_is_kept_neither_as_a_question_nor_as_an_answer(
    platform: Platform, client: Client, team: Team
) -> None:
    _, gate = await waiting(platform, client, team)
    question = await asked(client, team, gate)
    secret = "AKIA" + "Q7RJX2M4LNPZ6TBV"
    for response in (
        await ask(client, team, gate, team.reviewer, f"is {secret} right?"),
        await answer(client, team, question, team.editor, f"use {secret}"),
    ):
        problem = problem_of(response, 422)
        assert problem["code"] == "secret_suspected"
        assert secret not in response.text
    assert await listed(client, team, gate) == [question]


async def test_hostile_words_are_kept_as_written_and_shown_harmlessly(
    platform: Platform, client: Client, team: Team
) -> None:
    _, gate = await waiting(platform, client, team)
    question = await asked(client, team, gate, HOSTILE)
    said = await answer(client, team, question, team.editor, HOSTILE)
    assert said.json()["text"] == said.json()["answer"]["text"] == HOSTILE
    address = f"{team.path}/gates/{gate['id']}/review"
    for media in ("text/plain", "text/html"):
        shown = await client.send("GET", address, team.viewer, headers={"accept": media})
        assert shown.text.count("owned") == 2
        assert "\x1b" not in shown.text
        assert "\u202e" not in shown.text
        assert media == "text/plain" or "<script" not in shown.text
