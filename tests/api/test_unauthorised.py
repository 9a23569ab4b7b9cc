"""Who is let in where: every operation of the OpenAPI document against every kind of caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest

from animus.domain.access import Role
from animus.domain.tokens import TokenKind, make_token
from animus.services import principals
from animus.store.new_ids import new_id
from tests.api.operations import OPERATIONS, STREAMS, Operation
from tests.api.scenes import Scene, bodies
from tests.conftest import RecordCases
from tests.support.clients import Client, problem_of
from tests.support.people import make_member, make_person, make_service_account
from tests.support.platforms import Member, Platform
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

Holders = Mapping[str, Member | None]

MEMBERS = frozenset(Role)
PLATFORM = frozenset({"platform admin"})
EDITORS = frozenset({"editor", "admin"})
ADMINS = PLATFORM | {"admin"}
AUDITORS = ADMINS | {"auditor"}
SERVICES = frozenset({"account", "agent"})
SIGNED_IN = MEMBERS | PLATFORM | SERVICES | {"stranger"}
RUNS = frozenset({"run token", "other run token"})
WRONG = frozenset(
    {
        "nobody", "malformed", "mistyped", "expired", "revoked", "disabled",
        "account of a disabled person", "bootstrap token",
    }
)  # fmt: skip
EVERYBODY = SIGNED_IN | RUNS | WRONG | {"attempt token"}

TABLE: tuple[tuple[frozenset[str], str], ...] = (
    (EVERYBODY, "is_alive is_ready read_metrics"),
    (frozenset(), "bootstrap open_review_link use_review_link"),
    (SIGNED_IN, "who_am_i list_clusters get_capacity list_projects list_own_tokens"),
    (SIGNED_IN - SERVICES, "issue_own_token"),
    (SIGNED_IN, "check_pipeline"),
    (PLATFORM | {"viewer"}, "revoke_token"),
    (PLATFORM, "get_mail_address set_mail_address"),
    (PLATFORM, "create_person list_persons disable_person issue_person_token create_project"),
    (PLATFORM, "register_cluster retire_cluster list_platform_events set_quota set_capacity"),
    (PLATFORM, "set_project_clusters"),
    (SERVICES, "claim_attempt find_settled_attempts record_removal record_secret_access"),
    (SERVICES, "find_log_ends place_log_chunks send_heartbeat"),
    (frozenset({"attempt token"}), "get_step_inputs request_step_uploads"),
    (MEMBERS | PLATFORM, "get_project_clusters"),
    (MEMBERS | PLATFORM, "get_project get_quota list_role_bindings list_changes get_change"),
    (MEMBERS | PLATFORM, "list_service_accounts"),
    (ADMINS, "grant_role revoke_role create_service_account issue_service_token"),
    (ADMINS, "create_policy add_policy_version publish_policy withdraw_policy"),
    (ADMINS, "confirm_change reject_change"),
    (AUDITORS, "list_project_events"),
    (MEMBERS, "list_artifacts get_artifact download_artifact list_datasets get_dataset"),
    (MEMBERS, "list_dataset_versions get_dataset_version list_dataset_files get_source"),
    (MEMBERS, "list_environments get_environment list_environment_locks get_environment_lock"),
    (MEMBERS, "list_pipelines get_pipeline list_policies get_policy get_policy_version"),
    (MEMBERS, "list_runs get_run_plan list_run_gates stream_run_events list_metrics"),
    (MEMBERS, "stream_attempt_log explain_run check_store find_runs compare_plans"),
    (MEMBERS, "list_messages list_queue list_gates get_gate decide get_attempt_inputs"),
    (
        MEMBERS,
        "get_review list_decisions withdraw_decision list_questions ask_question answer_question",
    ),
    (MEMBERS, "list_delegations delegate"),
    (frozenset({"reviewer", "admin"}), "revoke_delegation"),
    (MEMBERS | {"run token"}, "get_run"),
    (EDITORS, "create_dataset declare_dataset_version get_dataset_upload"),
    (EDITORS, "commit_dataset_version declare_source commit_source define_environment"),
    (EDITORS, "lock_environment register_pipeline preview_run submit_run cancel_run"),
    (EDITORS | {"run token"}, "declare_artifact commit_artifact log_metrics log_messages"),
)
ALLOWED = {name: holders for holders, names in TABLE for name in names.split()}
BODY_NAMES_THE_RUN = ("declare_artifact", "log_metrics", "log_messages")
SPENT = (401, 403, 409)
"""How `bootstrap` refuses: its token is spent, and no other will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    status: int
    is_recorded: bool = True


def refusal_of(operation: Operation, holder: str) -> Refusal:
    """How a holder is refused who may not."""
    if operation.access == "review_link":  # no signing in opens it: the address does, or nothing
        return Refusal(status=404, is_recorded=False)
    if holder in WRONG | {"attempt token"} or operation.access == "attempt_token":
        return Refusal(status=401, is_recorded=False)
    known = holder in MEMBERS | PLATFORM | RUNS
    hidden = (operation.is_of_project and not known) or (
        operation.name == "revoke_token" and holder not in RUNS
    )
    return Refusal(status=404 if hidden else 403)


@pytest.fixture(scope="module")
async def holders(platform: Platform, client: Client, scene: Scene) -> Holders:
    """Who is wrong would be let in nearly everywhere, were it not for that one thing."""
    team = scene.team
    disabled = await make_member(platform, team, Role.ADMIN)
    orphan = await make_service_account(platform, team, accountable=disabled, roles=[Role.EDITOR])
    admin = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        await principals.disable_principal(uow, admin, disabled.id)
    return {
        **{str(role): team.of(role) for role in Role},
        "platform admin": await make_person(platform, platform_admin=True),
        "stranger": await make_person(platform),
        "account": scene.account,
        "agent": platform.cluster.agent,
        "run token": scene.run_token,
        "other run token": scene.other_run_token,
        "attempt token": scene.attempt_token,
        "nobody": None,
        "malformed": replace(platform.admin, token="not a token"),
        "mistyped": replace(platform.admin, token=_mistyped(platform.admin.token)),
        "expired": await _expired(platform, client),
        "revoked": await _revoked(platform),
        "disabled": disabled,
        "account of a disabled person": orphan,
        "bootstrap token": replace(
            platform.admin, token=make_token(TokenKind.BOOTSTRAP, bytes(32))
        ),
    }


def _mistyped(token: str) -> str:
    return token[:10] + ("x" if token[10] != "x" else "y") + token[11:]


async def _once(platform: Platform, *, life: timedelta) -> Member:
    """Another token of the platform's admin."""
    call = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        issued = await principals.issue_token(uow, call, platform.admin.id, name="once", life=life)
    assert issued.secret is not None
    return replace(platform.admin, token=issued.secret)


async def _expired(platform: Platform, client: Client) -> Member:
    member = await _once(platform, life=timedelta(milliseconds=200))

    async def is_refused() -> bool:
        return (await client.send("GET", "/whoami", member)).status_code == 401

    await eventually(is_refused, "the token has expired")
    return member


async def _revoked(platform: Platform) -> Member:
    member = await _once(platform, life=timedelta(days=1))
    call = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        newest = (await principals.list_tokens(uow, member.id))[-1]
        await principals.revoke_token(uow, call, newest.id)
    return member


def test_the_table_has_every_operation_once() -> None:
    listed = [name for _, names in TABLE for name in names.split()]
    assert Counter(listed) == Counter(OPERATIONS.keys())


def test_every_holder_has_a_token(holders: Holders) -> None:
    assert set(holders) == EVERYBODY


@pytest.mark.parametrize("name", OPERATIONS)
async def test_who_is_let_in(
    platform: Platform,
    client: Client,
    scene: Scene,
    holders: Holders,
    name: str,
    record_cases: RecordCases,
) -> None:
    """Bodies are wrong where the caller is judged by path alone, so that nothing is done."""
    operation = OPERATIONS[name]
    refused: list[str] = []
    for holder, member in holders.items():
        request_id = new_id().hex
        response = await _try(client, scene, operation, member, request_id)
        if holder in ALLOWED[name]:
            assert response.status_code in (200, 201, 202, 409, 422), (holder, response.text)
            continue
        if name == "bootstrap":
            assert response.status_code in SPENT, (holder, response.text)
            continue
        refusal = refusal_of(operation, holder)
        assert response.status_code == refusal.status, (holder, response.text)
        problem_of(response, refusal.status)
        if refusal.is_recorded:
            refused.append(request_id)
    assert _denied(platform, refused) == set(refused)
    record_cases("unauthorised", len(holders))


async def _try(
    client: Client, scene: Scene, operation: Operation, member: Member | None, request_id: str
) -> httpx.Response:
    ids = scene.ids_for(operation.name)
    address = operation.address(ids)
    if operation.name in STREAMS:
        address += "?follow=false"
    body: Any = [] if operation.body else None
    if operation.name in (*BODY_NAMES_THE_RUN, "bootstrap"):
        body = bodies(ids)[operation.name]
    headers = {"x-request-id": request_id}
    return await client.send(operation.method, address, member, body, headers=headers)


def _denied(platform: Platform, request_ids: list[str]) -> set[str]:
    """Those of these requests whose denial was recorded, once each."""
    with psycopg.connect(platform.owner_url) as connection:
        rows = connection.execute(
            "SELECT request_id FROM audit_events WHERE request_id = ANY(%s) "
            "AND action = 'access.denied' AND result = 'denied'",
            [request_ids],
        ).fetchall()
    assert len(rows) == len(set(rows))
    return {row[0] for row in rows}
