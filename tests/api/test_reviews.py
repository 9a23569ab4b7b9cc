"""What the reviewer sees is what the reviewer signs: frozen, verifiable, kept with the decision."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from animus.domain.access import Role
from animus.domain.reviews import read_review
from animus.domain.run_specs import Classification
from animus.domain.runs import RunState
from animus.domain.triggers import Trigger
from animus.services import reviews
from animus.services.frozen_reviews import ReviewDamaged
from animus.store import reviews as stored
from tests.api.test_approvals import Gate, check_refused, decide, open_gate, waiting
from tests.conftest import RecordCases
from tests.support.clients import Client, problem_of
from tests.support.documents import DIGEST_C, demand, rule
from tests.support.people import Team, make_member
from tests.support.platforms import Platform
from tests.support.policing import put_in_force
from tests.support.reviews import HOSTILE
from tests.support.runs import make_run, production_request, submit

pytestmark = pytest.mark.stack


async def read(client: Client, team: Team, gate: Gate) -> Any:
    return await client.get(f"{team.path}/gates/{gate['id']}/review", team.viewer)


def section(review: Any, name: str) -> Any:
    return next(one for one in review["document"]["sections"] if one["name"] == name)


def values(found: Any) -> dict[str, str]:
    return {item["label"]: item.get("value", "") for item in found["items"]}


def digest_of(canonical: str) -> str:
    """As the document says that it is computed, without any code of ours."""
    return "sha256:" + hashlib.sha256(b"animus.review/v1\n" + canonical.encode()).hexdigest()


async def test_the_review_verifies_and_stays_the_same_whatever_happens(
    platform: Platform, client: Client, team: Team
) -> None:
    run, gate = await waiting(platform, client, team)
    first = await read(client, team, gate)
    assert digest_of(first["canonical"]) == first["review_digest"] == gate["review_digest"]
    assert first["document"] == read_review(first["canonical"].encode()).document.content()
    assert first["document"]["plan_digest"] == gate["plan_digest"]
    assert first["beside"]["decisions"] == first["beside"]["newer_runs"] == []
    await make_run(platform, team, RunState.AWAITING_APPROVAL)
    assert (await decide(client, team, gate, team.reviewer)).status_code == 201
    await run.revalidate()
    last = await read(client, team, gate)
    assert last["canonical"] == first["canonical"]
    assert last["beside"]["run_state"] == "running"
    assert last["beside"]["closing"] == "satisfied"
    assert len(last["beside"]["decisions"]) == len(last["beside"]["newer_runs"]) == 1
    assert not last["beside"]["is_stale"]


async def test_it_says_who_asks_why_and_by_which_rule(
    platform: Platform, client: Client, team: Team
) -> None:
    trigger = Trigger(system="gitlab", pipeline_url="https://git.example/model/-/pipelines/7")
    request = await production_request(platform, team, reason="quarterly", ticket="RISK-7")
    run = await submit(platform, team, request, trigger=trigger)
    await run.plan()
    gate = await open_gate(client, run)
    review = await read(client, team, gate)
    asked = values(section(review, "request"))
    assert (asked["reason"], asked["ticket"]) == ("quarterly", "RISK-7")
    assert asked["asked by"].startswith(team.editor.name)
    (started,) = section(review, "request")["listings"]
    assert {item["label"]: item["value"] for item in started["shown"]} == {
        "system": "gitlab", "pipeline url": "https://git.example/model/-/pipelines/7"
    }  # fmt: skip
    why = values(section(review, "authority"))
    assert why["demanded by"] == "policy default version 1, rule production-needs-a-reviewer"
    assert "first of its kind" in values(section(review, "difference"))


async def test_the_second_run_shows_its_difference_and_the_development_runs(
    platform: Platform, client: Client, team: Team
) -> None:
    first, gate = await waiting(platform, client, team)
    assert (await decide(client, team, gate, team.reviewer)).status_code == 201
    request = await production_request(platform, team, parameters={"rate": 0.5})
    trial = await submit(platform, team, _as_development(request))
    await trial.plan()
    second = await make_run(platform, team, RunState.AWAITING_APPROVAL, request=request)
    review = await read(client, team, await open_gate(client, second))
    difference = section(review, "difference")
    approved = (await first.view()).name
    assert values(difference)["approved last"] == f"run {approved}, generation 1"
    shown = {item["label"] for one in difference["listings"] for item in one["shown"]}
    assert shown == {"rate"}
    assert values(section(review, "trials"))["runs"] == "1: 1 planned"


def _as_development(request: Any) -> Any:
    return replace(request, classification=Classification.DEVELOPMENT)


async def test_a_drifted_plan_is_compared_with_what_was_approved_of_this_very_run(
    platform: Platform, client: Client, team: Team
) -> None:
    run, gate = await waiting(platform, client, team)
    assert (await decide(client, team, gate, team.reviewer)).status_code == 201
    await put_in_force(platform, team, rule("new", "allow"))
    await run.revalidate()
    new = await open_gate(client, run)
    name = (await run.view()).name
    difference = section(await read(client, team, new), "difference")
    assert values(difference)["approved last"] == f"run {name}, generation 1"
    assert [one["title"].partition(":")[0] for one in difference["listings"]] == [
        "Policies and gates"
    ]
    old = await read(client, team, gate)
    assert old["beside"]["is_stale"]
    assert digest_of(old["canonical"]) == gate["review_digest"] != new["review_digest"]


async def test_review_diff_and_drift_tell_one_difference(
    platform: Platform, client: Client, team: Team
) -> None:
    run, gate = await waiting(platform, client, team)
    assert (await decide(client, team, gate, team.reviewer)).status_code == 201
    await put_in_force(platform, team, rule("new", "allow"))
    await run.revalidate()
    review = await read(client, team, await open_gate(client, run))
    of_review = [
        (item["label"], item.get("before"), item.get("after"))
        for listing in section(review, "difference")["listings"]
        for item in listing["shown"]
    ]
    (drift,) = (await client.get(run.path, team.viewer))["drifts"]
    of_drift = [
        (one["item"], one.get("before"), one.get("after")) for one in drift["difference"]
    ]  # fmt: skip
    approved = (await client.get(f"{run.path}/plan", team.viewer, generation=1))["document"]
    compared = await client.post(
        f"{team.path}/plans:compare", team.viewer,
        {"before": {"plan": approved}, "after": {"run_id": str(run.id)}},
    )  # fmt: skip
    of_diff = [
        (one["item"], one["before"], one["after"])
        for part in compared["parts"]
        for one in part["changes"]
    ]
    assert of_review == of_drift == of_diff
    assert ("policy default", None) not in {one[:2] for one in of_diff}
    same = values(section(review, "difference"))["the same"]
    assert same == f"{compared['same']} of {compared['same'] + compared['changed']} items"


async def test_a_decision_without_the_review_it_is_about_is_refused(
    platform: Platform, client: Client, team: Team, record_cases: RecordCases
) -> None:
    _, gate = await waiting(platform, client, team)
    _, other = await waiting(platform, client, team)
    unsaid = await decide(client, team, gate, team.reviewer, review_digest=None)
    assert problem_of(unsaid, 422)["code"] == "review_digest_required"
    for wrong in (DIGEST_C, other["review_digest"]):
        await check_refused(
            platform, client, team, gate, team.reviewer,
            status=409, code="review_mismatch", review_digest=wrong,
        )  # fmt: skip
    unfit = await decide(client, team, gate, team.reviewer, verdict="reject", meaning="approved")
    assert problem_of(unfit, 422)["code"] == "meaning_unfit"
    record_cases("approvals refused", 4)


@pytest.mark.parametrize(
    ("said", "meant"),
    [({}, "approved"), ({"meaning": "took_responsibility"}, "took_responsibility"),
     ({"verdict": "reject"}, "reviewed")],
)  # fmt: skip
async def test_a_receipt_names_the_audit_event_that_has_the_same_digests(
    platform: Platform, client: Client, team: Team, said: dict[str, str], meant: str
) -> None:
    _, gate = await waiting(platform, client, team)
    receipt = (await decide(client, team, gate, team.reviewer, **said)).json()
    assert receipt["meaning"] == meant
    assert receipt["review_digest"] == gate["review_digest"]
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT e.action, convert_from(p.payload, 'UTF8')::jsonb FROM audit_events e"
            " JOIN audit_payloads p ON p.event_id = e.id WHERE e.id = %s",
            [receipt["audit_event_id"]],
        ).fetchall()
    ((action, payload),) = rows
    assert action == ("gate.rejected" if said.get("verdict") else "gate.approved")
    assert payload["review_digest"] == gate["review_digest"]
    assert payload["plan_digest"] == gate["plan_digest"]
    assert (payload["meaning"], payload["reason"]) == (meant, "read it")


async def test_a_reviewers_own_record_has_what_he_signed(
    platform: Platform, client: Client, team: Team
) -> None:
    second = await make_member(platform, team, Role.REVIEWER)
    gates = [(await waiting(platform, client, team))[1] for _ in range(3)]
    for gate, by in zip(gates, (team.reviewer, second, team.reviewer), strict=True):
        assert (await decide(client, team, gate, by)).status_code == 201

    async def record(**query: Any) -> Any:
        return await client.get(f"{team.path}/decisions", team.reviewer, **query)

    whole = (await record())["decisions"]
    assert [one["decision"]["gate_id"] for one in whole] == [one["id"] for one in reversed(gates)]
    mine = await record(mine=True, limit=1)
    assert mine["decisions"][0]["decision"]["review_digest"] == gates[2]["review_digest"]
    rest = await record(mine=True, limit=1, before=mine["next_before"])
    assert rest["decisions"][0]["run_id"] == gates[0]["run_id"]
    last = whole[0]["decision"]["decided_at"]
    assert len((await record(since=last))["decisions"]) == 1
    assert (await record(since="2999-01-01T00:00:00Z"))["decisions"] == []


async def test_a_gate_of_before_there_were_reviews_goes_on_as_it_was(
    platform: Platform, client: Client, team: Team, monkeypatch: pytest.MonkeyPatch,
    record_cases: RecordCases,
) -> None:  # fmt: skip
    async def not_yet(*_: object, **__: object) -> None:
        """As the version before: the gates open, and that is all."""

    monkeypatch.setattr(reviews, "freeze", not_yet)
    run, gate = await waiting(platform, client, team)
    assert gate["review_digest"] is None
    await client.refused(404, f"{team.path}/gates/{gate['id']}/review", team.viewer, method="GET")
    await check_refused(
        platform, client, team, gate, team.reviewer,
        status=409, code="review_mismatch", review_digest=DIGEST_C,
    )  # fmt: skip
    decided = await decide(client, team, gate, team.reviewer)
    assert decided.status_code == 201
    assert decided.json()["review_digest"] is None
    await run.revalidate()
    assert (await run.view()).state is RunState.RUNNING
    record_cases("approvals refused", 1)


async def test_two_of_two_are_reached_while_runs_come_in_and_only_a_drift_is_stale(
    platform: Platform, client: Client, team: Team
) -> None:
    await put_in_force(platform, team, rule("two", "require_approval", approval=demand(quorum=2)))
    second = await make_member(platform, team, Role.REVIEWER)
    _, gate = await waiting(platform, client, team)
    answers = await asyncio.gather(
        decide(client, team, gate, team.reviewer),
        make_run(platform, team, RunState.AWAITING_APPROVAL),
        decide(client, team, gate, second),
        make_run(platform, team, RunState.AWAITING_APPROVAL),
    )
    assert [one.status_code for one in (answers[0], answers[2])] == [201, 201]
    closed = await client.get(f"{team.path}/gates/{gate['id']}", team.viewer)
    assert closed["closing"] == "satisfied"


async def test_it_is_given_as_text_and_as_a_page_that_loads_nothing(
    platform: Platform, client: Client, team: Team
) -> None:
    request = await production_request(platform, team, reason=HOSTILE)
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL, request=request)
    gate = await open_gate(client, run)
    address = f"{team.path}/gates/{gate['id']}/review"
    for accept, media in (
        ("text/plain", "text/plain"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html;q=0.2, text/plain;q=0.9", "text/plain"),
    ):
        answer = await client.send("GET", address, team.viewer, headers={"accept": accept})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == f"{media}; charset=utf-8"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        if media != "application/json":
            assert gate["review_digest"] in answer.text
            assert "\x1b" not in answer.text
            assert "\u202e" not in answer.text
            assert ("<script" in answer.text) == (media == "text/plain")


@pytest.mark.parametrize("damage", [b"approver", b"\xff"], ids=["other words", "no text"])
async def test_a_stored_review_that_was_damaged_is_neither_shown_nor_signed(
    platform: Platform,
    client: Client,
    team: Team,
    damage: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What only a superuser could do to the table, done on the way out of it."""
    _, gate = await waiting(platform, client, team)
    find_review = stored.find_review

    async def damaged(*given: Any) -> Any:
        row = await find_review(*given)
        assert row is not None
        row.canonical = row.canonical.replace(b"reviewer", damage)
        return row

    monkeypatch.setattr(stored, "find_review", damaged)
    path = f"{team.path}/gates/{gate['id']}/review"
    problem = await client.refused(500, path, team.viewer, method="GET")
    assert problem["code"] == ReviewDamaged.code
    answer = await decide(client, team, gate, team.reviewer)
    assert (answer.status_code, answer.json()["code"]) == (500, ReviewDamaged.code)
