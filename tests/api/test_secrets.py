"""What looks like a credential is refused by place, and its value is in no answer, log or row."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql
from structlog.testing import capture_logs

from animus.domain.canonical import canonical_bytes
from animus.domain.digests import digest_of_canonical, format_digest
from animus.domain.plans import TAG as PLAN_TAG
from animus.domain.tokens import TokenKind, make_token
from animus.store.protection import PROTECTIONS
from tests.api.operations import OPERATIONS
from tests.api.scenes import Scene, bodies
from tests.conftest import RecordCases
from tests.support.clients import Client, problem_of
from tests.support.databases import table
from tests.support.documents import code, explicit_pipeline, explicit_step, short_pipeline
from tests.support.people import Team
from tests.support.platforms import Member, Platform

pytestmark = pytest.mark.stack

SECRET = "ghp_" + "Q7x" * 12

Body = dict[str, Any]


def with_step(**changes: Any) -> Body:
    return {"pipeline": explicit_pipeline(explicit_step(**changes))}


PLACES: dict[str, Body] = {
    "/parameters/token": {"parameters": {"token": SECRET}},
    "/parameters/a~1b/0/c": {"parameters": {"a/b": [{"c": f"x {SECRET} y"}]}},
    "/labels/team": {"labels": {"team": SECRET}},
    "/reason": {"reason": f"It is {SECRET}."},
    "/ticket": {"ticket": SECRET},
    "/pipeline/steps/train/env/TOKEN": with_step(env=[{"name": "TOKEN", "value": SECRET}]),
    "/pipeline/steps/train/run/1": with_step(command=["curl", f"--token={SECRET}"]),
    "/pipeline/steps/train/run/2": with_step(command=["curl", "-H"], args=[SECRET]),
    "/pipeline/labels/team": {
        "pipeline": explicit_pipeline() | {"metadata": {"name": "p", "labels": {"team": SECRET}}}
    },
    "/pipeline/description": {
        "pipeline": explicit_pipeline() | {"metadata": {"name": "p", "description": SECRET}}
    },
    "/pipeline/steps/train/env": with_step(env=[{"name": SECRET, "value": "x"}]),
    "/labels": {"labels": {SECRET: "team"}},
    "/parameters": {"parameters": {SECRET: "x"}},
    "/code/repo_url": {"code": code(repo_url=f"https://ada:{SECRET}@git.example/model")},
}


FREE_TEXTS: dict[str, tuple[str, ...]] = {
    "add_policy_version": ("/document/rules/0/id", "/document/rules/0/reason"),
    "answer_question": ("/text",),
    "ask_question": ("/text",),
    "bootstrap": ("/name", "/display_name"),
    "cancel_run": ("/reason",),
    "confirm_change": ("/reason",),
    "create_dataset": ("/name", "/description"),
    "create_person": ("/name", "/display_name"),
    "create_policy": ("/name",),
    "create_project": ("/name", "/description"),
    "create_service_account": ("/name", "/display_name"),
    "decide": ("/reason",),
    "declare_artifact": ("/name", "/kind"),
    "declare_source": ("/path",),
    "delegate": ("/reason",),
    "define_environment": ("/environment/description", "/environment/images/0/name"),
    "grant_role": ("/reason",),
    "issue_own_token": ("/name",),
    "issue_person_token": ("/name",),
    "issue_service_token": ("/name",),
    "lock_environment": ("/lock/packages/0/name",),
    "publish_policy": ("/reason",),
    "register_cluster": ("/name", "/runtime"),
    "reject_change": ("/reason",),
    "set_capacity": ("/reason",),
    "set_project_clusters": ("/reason",),
    "set_quota": ("/reason",),
    "withdraw_decision": ("/reason",),
    "withdraw_policy": ("/reason",),
}
"""Every operation whose texts are kept for ever, and where they stand in its body."""
OF_RUNS = {"submit_run", "preview_run", "register_pipeline", "check_pipeline"}
"""See `PLACES`; the last one keeps nothing."""
NOT_SEARCHED = {
    "compare_plans",  # which keeps nothing
    "claim_attempt", "request_step_uploads", "find_settled_attempts",  # signed bytes; digests; ids
    "find_log_ends", "place_log_chunks",  # ids, digests and sizes
    "send_heartbeat",  # a version, which is not kept
    "record_removal",  # kind and name of our own objects
    "record_secret_access",  # a digest; names and references that are in the plan already
    "declare_dataset_version",  # paths of files, which may be a million
    "set_mail_address",  # a mail address, which has a form of its own
    "log_metrics", "log_messages",  # kept in partitions that are dropped
}  # fmt: skip


def run_with(change: Body) -> Body:
    return {"pipeline": short_pipeline()} | change


def texts(platform: Platform) -> str:
    """Every row of every table, as text and with its bytes as text."""
    with psycopg.connect(platform.owner_url) as connection:
        found = []
        for protection in PROTECTIONS:
            rows = connection.execute(sql.SQL("SELECT * FROM {}").format(table(protection.table)))
            found += [str(value) for row in rows for value in row]
        return "\n".join(found)


def with_secret(body: Any, pointer: str) -> Any:
    """A copy of the body with the secret at the place."""
    if not pointer:
        return SECRET
    token, _, rest = pointer[1:].partition("/")
    rest = rest and f"/{rest}"
    if token.isdigit():
        first = (body or [{}])[0]
        return [with_secret(first, rest), *(body or [])[1:]]
    return (body or {}) | {token: with_secret((body or {}).get(token), rest)}


def test_every_operation_with_a_body_is_searched_or_says_why_not() -> None:
    with_a_body = {name for name, operation in OPERATIONS.items() if operation.body}
    assert {*FREE_TEXTS} | OF_RUNS | NOT_SEARCHED == with_a_body


def caller(platform: Platform, team: Team, name: str) -> Member:
    """Who may do it."""
    match name:
        case "bootstrap":
            return replace(platform.admin, token=make_token(TokenKind.BOOTSTRAP, bytes(32)))
        case "decide":
            return team.reviewer
        case "issue_service_token" | "set_quota" | "set_project_clusters":
            return platform.admin
        case _:
            return team.admin if OPERATIONS[name].is_of_project else platform.admin


@pytest.mark.parametrize("name", FREE_TEXTS)
async def test_free_texts_are_searched_too(
    platform: Platform, client: Client, scene: Scene, name: str, record_cases: RecordCases
) -> None:
    ids = scene.ids_for(name)
    by = caller(platform, scene.team, name)
    for place in FREE_TEXTS[name]:
        body = with_secret(bodies(ids)[name], place)
        response = await client.send("POST", OPERATIONS[name].address(ids), by, body)
        problem = problem_of(response, 422)
        assert [fault["pointer"] for fault in problem["errors"]] == [place]
        assert problem["code"] == "secret_suspected"
        assert "not_secret" not in problem["detail"]
        assert SECRET not in response.text
    record_cases("secrets in requests", len(FREE_TEXTS[name]))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("route", ["runs", "runs:preview"])
async def test_a_secret_is_refused_by_place_and_never_repeated(
    platform: Platform,
    client: Client,
    team: Team,
    place: str,
    route: str,
    caplog: pytest.LogCaptureFixture,
    record_cases: RecordCases,
) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logged:
        response = await client.send(
            "POST", f"{team.path}/{route}", team.editor, run_with(PLACES[place]),
            headers={"idempotency-key": place},
        )  # fmt: skip
    problem = problem_of(response, 422)
    assert problem["code"] == "secret_suspected"
    assert [fault["pointer"] for fault in problem["errors"]] == [place]
    for said in (response.text, json.dumps(logged, default=str), caplog.text):
        assert SECRET not in said
    record_cases("secrets in requests", 1)


async def test_no_refused_secret_is_in_the_database(
    platform: Platform, client: Client, team: Team
) -> None:
    for change in PLACES.values():
        await client.refused(422, f"{team.path}/runs", team.editor, run_with(change))
    await client.refused(422, f"{team.path}/pipelines", team.editor, with_step(args=[SECRET]))
    assert SECRET not in texts(platform)


async def test_that_a_secret_was_refused_is_recorded(
    platform: Platform, client: Client, team: Team
) -> None:
    said = {"x-request-id": "secret-was-refused-1"}
    body = run_with({"ticket": SECRET})
    await client.send("POST", f"{team.path}/runs", team.editor, body, headers=said)
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT action, result FROM audit_events WHERE request_id = %s", list(said.values())
        ).fetchall()
    assert rows == [("access.denied", "denied")]


async def test_a_false_alarm_is_overridden_by_place_and_that_is_recorded(
    platform: Platform, client: Client, team: Team
) -> None:
    body = run_with({"ticket": SECRET, "labels": {"team": SECRET}})
    problem = await client.refused(
        422, f"{team.path}/runs", team.editor, body | {"not_secret": ["/ticket"]}
    )
    assert [fault["pointer"] for fault in problem["errors"]] == ["/labels/team"]
    allowed = ["/ticket", "/labels/team"]
    run = await client.post(f"{team.path}/runs", team.editor, body | {"not_secret": allowed})
    with psycopg.connect(platform.owner_url) as connection:
        row = connection.execute(
            "SELECT p.payload FROM audit_payloads p JOIN audit_events e ON e.id = p.event_id "
            "WHERE e.run_id = %s AND e.action = 'run.submitted'",
            [run["id"]],
        ).fetchone()
    assert row is not None
    assert json.loads(row[0])["not_secret"] == sorted(allowed)


def expecting(plan: Body) -> Body:
    return {
        "expected_plan": plan,
        "expected_plan_digest": format_digest(digest_of_canonical(PLAN_TAG, canonical_bytes(plan))),
    }


async def test_an_expected_plan_is_a_plan_and_searched_too(client: Client, team: Team) -> None:
    body = run_with({})
    plan = (await client.post(f"{team.path}/runs:preview", team.editor, body))["plan"]
    with_one = with_secret(plan, "/body/parameters/token")
    for wrong, refusal, place in (
        (with_one, "secret_suspected", "/expected_plan/body/parameters/token"),
        ({"k": SECRET}, "secret_suspected", "/expected_plan/k"),
        (plan | {"more": "x"}, "invalid_document", "/expected_plan/more"),
    ):
        said = body | expecting(wrong)
        problem = await client.refused(422, f"{team.path}/runs", team.editor, said)
        assert problem["code"] == refusal
        assert [fault["pointer"] for fault in problem["errors"]] == [place]
        assert SECRET not in json.dumps(problem)


async def test_what_was_overridden_in_a_request_is_in_its_expected_plan(
    client: Client, team: Team
) -> None:
    body = run_with({"parameters": {"token": SECRET}, "not_secret": ["/parameters/token"]})
    previewed = await client.post(f"{team.path}/runs:preview", team.editor, body)
    said = body | expecting(previewed["plan"])
    assert said["expected_plan_digest"] == previewed["plan_digest"]
    await client.post(f"{team.path}/runs", team.editor, said)


async def test_a_token_is_shown_once_and_kept_as_a_hash(
    platform: Platform, client: Client, team: Team
) -> None:
    with capture_logs() as logged:
        issued = await client.post("/tokens", team.editor, {"name": "t"})
    listed = await client.get("/tokens", team.editor)
    assert issued["id"] in [one["id"] for one in listed]
    kept = texts(platform)
    for secret in (issued["secret"], team.editor.token):
        assert secret not in json.dumps(listed)
        assert secret not in json.dumps(logged, default=str)
        assert secret not in kept


BROKEN: dict[str, Callable[[Team], tuple[str, Body]]] = {
    "a name": lambda team: (f"{team.path}/datasets", {"name": SECRET + "!"}),
    "a pipeline": lambda team: (f"{team.path}/runs", {"pipeline": {"steps": SECRET}}),
    "a manifest": lambda team: (f"{team.path}/runs", {"pipeline": {}, "labels": SECRET}),
    "an unknown verdict": lambda team: (f"{team.path}/pipelines", {"pipeline": [SECRET]}),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_refused_value_is_not_repeated(client: Client, team: Team, case: str) -> None:
    """Whatever it is refused for: a value in the wrong place may be a secret."""
    path, body = BROKEN[case](team)
    with capture_logs() as logged:
        response = await client.send("POST", path, team.editor, body)
    assert response.status_code == 422
    assert SECRET not in response.text
    assert SECRET not in json.dumps(logged, default=str)
