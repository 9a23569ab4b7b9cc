"""Every refusal is a problem document that says what to do, and nothing that is secret."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from animus.services import datasets
from api import document
from api.limits import MAX_BODY_BYTES, RateLimiter
from tests.conftest import RecordCases
from tests.support.clients import Client, problem_of
from tests.support.people import Team, make_person
from tests.support.platforms import Platform

pytestmark = pytest.mark.stack

UNDECODABLE: dict[str, bytes] = {
    "not_json": b"{",
    "not_json: nothing": b" ",
    "not_json: words": b"name: data",
    "not_json: twice": b'{"name": "a", "name": "b"}',
    "not_json: twice inside": b'{"name": {"a": 1, "a": 1}}',
    "not_json: NaN": b'{"name": NaN}',
    "not_json: infinite": b'{"name": -Infinity}',
    "not_json: too large a number": b'{"name": 1e400}',
    "not_json: too large an integer": b'{"name": 9007199254740992}',
    "not_json: digits": b'{"name": ' + b"9" * 10_000 + b"}",
    "not_json: not UTF-8": b'{"name": "\xff"}',
    "not_json: overlong UTF-8": b'{"name": "\xc0\xaf"}',
    "not_json: cut off": b'{"name": "a"',
    "not_json: more than one": b'{"name": "a"}{}',
    "not_json: far too deep": b"[" * 100_000,
    "nul_character": b'{"name": "a\\u0000"}',
    "lone_surrogate": b'{"name": "\\ud800"}',
    "lone_surrogate: key": b'{"\\udfff": 1}',
    "too_deep": b'{"name": ' + b"[" * 70 + b"]" * 70 + b"}",
}


@pytest.mark.parametrize("case", UNDECODABLE)
async def test_what_is_no_exact_json_is_refused(
    client: Client, team: Team, case: str, record_cases: RecordCases
) -> None:
    response = await client.send(
        "POST", f"{team.path}/datasets", team.editor, content=UNDECODABLE[case]
    )
    problem = problem_of(response, 422)
    assert problem["errors"][0]["code"] == case.partition(":")[0]
    record_cases("undecodable bodies", 1)


async def test_a_body_is_not_read_for_strangers(client: Client, team: Team) -> None:
    """Who is calling is asked first: a stranger learns nothing of what a body must be."""
    response = await client.send("POST", f"{team.path}/datasets", None, content=b"{")
    assert problem_of(response, 401)["code"] == "unauthenticated"
    assert response.headers["www-authenticate"] == "Bearer"


async def test_an_unknown_key_is_refused_with_the_one_that_was_meant(
    client: Client, team: Team
) -> None:
    problem = await client.refused(
        422, f"{team.path}/datasets", team.editor, {"name": "a", "descripton": "b"}
    )
    (fault,) = problem["errors"]
    assert fault["pointer"] == "/descripton"
    assert "Did you mean 'description'?" in fault["message"]


async def test_an_unknown_key_deep_in_a_document_is_found_too(client: Client, team: Team) -> None:
    pipeline = {"apiVersion": "animus/v1", "pipeline": "p", "steps": {"a": {"rum": "x"}}}
    problem = await client.refused(422, "/pipelines:check", team.viewer, {"pipeline": pipeline})
    meant = [one for one in problem["errors"] if one["pointer"].endswith("/steps/a/rum")]
    assert "Did you mean 'run'?" in meant[0]["message"]


async def test_all_faults_are_told_at_once(client: Client, team: Team) -> None:
    body = {"principal": "not a name!", "role": "king", "more": 1}
    problem = await client.refused(422, f"{team.path}/role-bindings", team.admin, body)
    assert {one["pointer"] for one in problem["errors"]} == {"/principal", "/role", "/more"}


async def test_a_fault_beside_the_body_says_where(client: Client, team: Team) -> None:
    address = f"{team.path}/runs?limit=0&state=happy"
    problem = await client.refused(422, address, team.viewer, method="GET")
    assert {one["pointer"] for one in problem["errors"]} == {"/query/limit", "/query/state"}
    problem = await client.refused(422, "/projects/x/runs", team.viewer, method="GET")
    assert [one["pointer"] for one in problem["errors"]] == ["/path/project_id"]


@pytest.mark.parametrize("path", ["/nowhere", "/projects/", "/api/v2/projects", "/docs", "/redoc"])
async def test_what_is_no_address_is_not_there(client: Client, team: Team, path: str) -> None:
    problem = await client.refused(404, path, team.viewer, method="GET")
    assert problem["code"] == "route_not_found"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_a_method_that_is_not_allowed_is_refused(
    client: Client, team: Team, method: str
) -> None:
    response = await client.send(method, f"{team.path}/datasets", team.editor)
    assert problem_of(response, 405)["code"] == "method_not_allowed"
    assert response.headers["allow"]


async def test_a_large_body_is_refused_announced_or_not(client: Client, team: Team) -> None:
    path = f"{team.path}/datasets"
    large = b'{"name": "' + b"a" * MAX_BODY_BYTES + b'"}'
    announced = await client.send("POST", path, team.editor, content=large)
    assert problem_of(announced, 413)["code"] == "too_large"
    response = await client.http.post(
        f"/api/v1{path}", headers=team.editor.headers, content=_pieces(large)
    )
    assert problem_of(response, 413)["code"] == "too_large"


async def test_an_announcement_that_is_no_number_is_refused(client: Client, team: Team) -> None:
    for said in ("-1", "1e3", "x", "9" * 30):
        response = await client.send(
            "POST", f"{team.path}/datasets", team.editor, content=b"{}",
            headers={"content-length": said},
        )  # fmt: skip
        assert problem_of(response, 413)["code"] == "too_large"


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 65_536):
        yield content[start : start + 65_536]


@contextmanager
def limited(platform: Platform, limiter: RateLimiter) -> Iterator[None]:
    state, context = platform.app.state, platform.context
    state.context = replace(context, limiter=limiter)
    try:
        yield
    finally:
        state.context = context


async def test_who_guesses_tokens_is_limited_by_address_and_nobody_else_is(
    platform: Platform, client: Client, team: Team
) -> None:
    with limited(platform, RateLimiter(per_second=0.1, burst=3)):
        guesses = [
            await client.send("GET", "/whoami", headers={"authorization": "Bearer anmp_guess"})
            for _ in range(4)
        ]
        assert [guess.status_code for guess in guesses] == [401, 401, 401, 429]
        problem_of(guesses[-1], 429)
        await client.get("/whoami", team.viewer)


async def test_too_many_requests_are_refused_with_the_time_to_wait(
    platform: Platform, client: Client, team: Team
) -> None:
    other = await make_person(platform)
    with limited(platform, RateLimiter(per_second=0.1, burst=3)):
        for _ in range(3):
            await client.get("/whoami", team.viewer)
        response = await client.send("GET", "/whoami", team.viewer)
        problem = problem_of(response, 429)
        assert problem["code"] == "rate_limited"
        assert problem["retryable"] is True
        assert 1 <= int(response.headers["retry-after"]) <= 10
        await client.get("/whoami", other)  # each caller has an own share


async def test_a_request_keeps_the_id_it_came_with(client: Client, team: Team) -> None:
    said = {"x-request-id": "trace-0123456789.A_b"}
    for member in (team.viewer, None):
        response = await client.send("GET", "/whoami", member, headers=said)
        assert response.headers.get_list("x-request-id") == [said["x-request-id"]]


@pytest.mark.parametrize("wrong", ["short", "x" * 65, "with space and more", "a\x1b[31mred-text"])
async def test_an_id_that_is_none_is_replaced(client: Client, team: Team, wrong: str) -> None:
    response = await client.send("GET", "/whoami", team.viewer, headers={"x-request-id": wrong})
    assert response.status_code == 200
    assert response.headers["x-request-id"] != wrong


async def test_a_bug_says_nothing_of_itself(
    client: Client, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(datasets, "list_datasets", broken)
    response = await client.send("GET", f"{team.path}/datasets", team.viewer)
    problem = problem_of(response, 500)
    assert problem["code"] == "internal"
    assert "hunter2" not in response.text
    assert "Traceback" not in response.text
    assert response.headers.get_list("x-request-id") == [problem["request_id"]]


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer ", "bearer  x y", "Token x"])
async def test_a_credential_of_another_kind_is_refused(client: Client, header: str) -> None:
    response = await client.http.get("/api/v1/whoami", headers={"Authorization": header})
    problem_of(response, 401)


def test_the_committed_documents_are_current() -> None:
    for path, make in document.DOCUMENTS.items():
        assert json.loads(path.read_text()) == make(), path.name


async def test_readiness_names_each_dependency(platform: Platform, client: Client) -> None:
    ready = await client.get("/readyz")
    agents = ready["dependencies"].pop("agents")
    assert ready == {
        "status": "ready",
        "dependencies": {"database": "ok", "reader": "ok", "object_store": "ok"},
    }
    assert platform.cluster.name in agents


async def test_measurements_name_operations_and_no_ids(client: Client, team: Team) -> None:
    await client.get(team.path, team.viewer)
    response = await client.send("GET", "/metrics")
    assert 'animus_api_requests_total{operation="get_project",status="200"}' in response.text
    assert str(team.project_id) not in response.text
