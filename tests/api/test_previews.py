"""A preview writes nothing, and shows the very plan that a submission is planned as."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from animus.domain.runs import RunState
from animus.store.protection import PROTECTIONS
from tests.conftest import RecordCases
from tests.support.clients import Client
from tests.support.databases import PRIVILEGE, connected, state_of, table
from tests.support.documents import (
    DIGEST_B,
    DIGEST_C,
    code,
    environment,
    lock,
    manifest,
    rule,
    short_pipeline,
)
from tests.support.people import Team, make_team, unique
from tests.support.platforms import Platform, system_call
from tests.support.policing import put_in_force
from tests.support.runs import CONTENT, DrivenRun, make_dataset_version, make_lock

pytestmark = pytest.mark.stack

CONTENT_DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
AWAY_FROM_AUDIT = ("audit_events", "audit_payloads", "audit_pending", "audit_index")


def fingerprints(platform: Platform) -> dict[str, object]:
    """Of every table: how many rows, and a hash over all of them."""
    found: dict[str, object] = {}
    with psycopg.connect(platform.owner_url) as connection:
        for protection in PROTECTIONS:
            content = sql.SQL(
                "SELECT count(*), md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) "
                "FROM {} t"
            ).format(table(protection.table))
            found[protection.table] = connection.execute(content).fetchone()
    return found


def stored_files(platform: Platform) -> dict[Path, tuple[int, int]]:
    """Every file of the object store, with size and time of change: it keeps plain files."""
    layout = platform.servers.stack.site.layout
    return {
        path: (path.stat().st_size, path.stat().st_mtime_ns)
        for root in (layout.data("objects"), layout.data("object-versions"))
        for path in root.rglob("*")
        if path.is_file()
    }


async def request_of(platform: Platform, team: Team) -> dict[str, Any]:
    """A production run over inputs that are there."""
    version = await make_dataset_version(platform, team)
    locked = await make_lock(platform, team)
    return {
        "classification": "production",
        "pipeline": short_pipeline(train={"data": "data", "out": "model"}),
        "datasets": {"data": {"version_id": str(version.id)}},
        "code": code(),
        "environment_lock": {"id": str(locked.id)},
        "parameters": {"rate": 0.5},
    }


def announced(digest: str) -> dict[str, Any]:
    """The same run before anything of it was uploaded: by digest, and with the lock itself."""
    return {
        "classification": "production",
        "pipeline": short_pipeline(train={"data": "data", "out": "model"}),
        "datasets": {"data": {"digest": digest}},
        "code": code(),
        "environment_lock": {"document": lock()},
        "parameters": {"rate": 0.5},
    }


async def test_a_preview_writes_nothing(platform: Platform, client: Client, team: Team) -> None:
    request = await request_of(platform, team)
    denied = announced(DIGEST_B) | {"reason": "ghp_" + "a1B" * 12}
    # What strangers tried before is written now, and not by a timer in the middle of this.
    await platform.app.state.unauthenticated.summarise(platform.api, system_call())
    rows, files = fingerprints(platform), stored_files(platform)
    assert files
    await client.post(f"{team.path}/runs:preview", team.editor, request)
    await client.post(f"{team.path}/runs:preview", team.editor, announced(DIGEST_C))
    await client.post(
        f"{team.path}/runs:preview", team.editor, request, idempotency_key="never kept"
    )
    await client.refused(422, f"{team.path}/runs:preview", team.editor, {"pipeline": {}})
    assert fingerprints(platform) == rows
    # A refusal that is recorded writes its audit rows, and nothing else.
    await client.refused(422, f"{team.path}/runs:preview", team.editor, denied)
    after = fingerprints(platform)
    assert {name for name in rows if rows[name] != after[name]} <= set(AWAY_FROM_AUDIT)
    assert stored_files(platform) == files


async def test_a_preview_could_not_write_if_it_tried(platform: Platform) -> None:
    attack = "INSERT INTO audit_pending DEFAULT VALUES"
    async with platform.reader.snapshot() as session:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await session.fetch(attack)
    async with platform.reader.read() as session:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await session.fetch(attack)
    with connected(platform, role="animus_reader") as connection:
        for protection in PROTECTIONS:
            inserting = sql.SQL("INSERT INTO {} DEFAULT VALUES").format(table(protection.table))
            assert state_of(connection, inserting) == PRIVILEGE


async def test_the_preview_before_any_upload_is_of_the_plan_that_is_made_after(
    platform: Platform, client: Client, team: Team
) -> None:
    path = f"{team.path}/runs:preview"
    listed = manifest(("data.csv", CONTENT_DIGEST, len(CONTENT)))
    checked = await client.post(f"{team.path}/datasets", team.editor, {"name": unique("probe")})
    declared = await client.post(
        f"{team.path}/datasets/{checked['id']}/uploads", team.editor, {"manifest": listed}
    )
    before = await client.post(path, team.editor, announced(declared["digest"]))
    assert {one["what"] for one in before["missing"]} == {"dataset_version", "environment_lock"}
    request = await request_of(platform, team)
    after = await client.post(path, team.editor, request)
    assert after["missing"] == []
    assert after["plan_digest"] == before["plan_digest"]
    submitted = await client.post(
        f"{team.path}/runs", team.editor,
        request | {"expected_plan_digest": before["plan_digest"], "expected_plan": before["plan"]},
    )  # fmt: skip
    run = DrivenRun(platform=platform, team=team, id=submitted["id"])
    await run.plan()
    planned = await client.get(f"{run.path}/plan", team.viewer)
    assert planned["plan_digest"] == before["plan_digest"]
    assert planned["document"] == before["plan"]
    assert (await run.view()).state is RunState.AWAITING_APPROVAL


async def test_the_same_work_has_the_same_digest_in_another_project(
    platform: Platform, client: Client, team: Team
) -> None:
    other = await make_team(platform)
    digests = set()
    for one in (team, other):
        previewed = await client.post(
            f"{one.path}/runs:preview", one.editor, await request_of(platform, one)
        )
        digests.add(previewed["plan_digest"])
    assert len(digests) == 1


CHANGES: dict[str, dict[str, Any]] = {
    "a parameter": {"parameters": {"rate": 0.6}},
    "the classification": {"classification": "development"},
    "the commit": {"code": code(commit="f" * 40)},
    "the image": {
        "pipeline": short_pipeline(train={"data": "data", "out": "model"})
        | {"image": f"registry.example/trainer@{DIGEST_B}"}
    },
    "the data": {"datasets": {"data": {"digest": DIGEST_B}}},
    "the lock": {"environment_lock": {"document": lock(packages=[])}},
}
SAME: dict[str, dict[str, Any]] = {
    "labels": {"labels": {"a": "b"}},
    "a reason and a ticket": {"reason": "because", "ticket": "T-1"},
    "the cluster by name": {"cluster": "local"},
}


@pytest.mark.parametrize("change", [*CHANGES, *SAME])
async def test_what_is_executed_changes_the_digest_and_nothing_else_does(
    client: Client, team: Team, change: str, record_cases: RecordCases
) -> None:
    path, request = f"{team.path}/runs:preview", announced(DIGEST_C)
    first = await client.post(path, team.editor, request)
    changed = request | (CHANGES | SAME)[change]
    if change == "the image":
        changed |= {"environment_lock": None}
        first = await client.post(path, team.editor, request | {"environment_lock": None})
    second = await client.post(path, team.editor, changed)
    assert (first["plan_digest"] == second["plan_digest"]) == (change in SAME)
    record_cases("plan digests", 1)


async def test_a_policy_of_today_changes_the_digest(
    platform: Platform, client: Client, team: Team
) -> None:
    path, request = f"{team.path}/runs:preview", announced(DIGEST_C)
    before = await client.post(path, team.editor, request)
    await put_in_force(platform, team, rule("no", "deny"))
    after = await client.post(
        path, team.editor, request | {"expected_plan_digest": before["plan_digest"]}
    )
    assert after["effect"] == "deny"
    assert after["digest_is_expected"] is False


async def test_a_run_whose_plan_has_drifted_is_rejected_with_the_difference(
    platform: Platform, client: Client, team: Team
) -> None:
    request = await request_of(platform, team)
    previewed = await client.post(f"{team.path}/runs:preview", team.editor, request)
    await put_in_force(platform, team, rule("later", "allow"))
    submitted = await client.post(
        f"{team.path}/runs", team.editor,
        request
        | {"expected_plan_digest": previewed["plan_digest"], "expected_plan": previewed["plan"]},
    )  # fmt: skip
    run = DrivenRun(platform=platform, team=team, id=submitted["id"])
    await run.plan()
    await run.finalise()
    detail = await client.get(run.path, team.viewer)
    assert (detail["state"], detail["failure_code"]) == ("rejected", "plan_drift")
    (incident,) = detail["incidents"]
    assert incident["kind"] == "plan_drift"
    changed = {one["item"]: one for one in incident["details"]["difference"]}
    assert {one["part"] for one in changed.values()} == {"policy"}
    assert any(item.startswith("policy ") for item in changed)


async def test_drift_from_a_digest_alone_says_that_it_has_no_difference(
    platform: Platform, client: Client, team: Team
) -> None:
    request = await request_of(platform, team)
    said = request | {"expected_plan_digest": DIGEST_C}
    submitted = await client.post(f"{team.path}/runs", team.editor, said)
    run = DrivenRun(platform=platform, team=team, id=submitted["id"])
    await run.plan()
    (incident,) = (await client.get(run.path, team.viewer))["incidents"]
    assert incident["details"]["difference"] is None
    assert "Send 'expected_plan' with it." in incident["message"]


async def test_an_expected_plan_must_be_the_one_of_its_digest(
    platform: Platform, client: Client, team: Team
) -> None:
    request = await request_of(platform, team)
    previewed = await client.post(f"{team.path}/runs:preview", team.editor, request)
    forged = previewed["plan"] | {"gates": []}
    await client.refused(
        422, f"{team.path}/runs", team.editor,
        request | {"expected_plan_digest": previewed["plan_digest"], "expected_plan": forged},
    )  # fmt: skip


async def test_nothing_is_submitted_that_is_not_there(client: Client, team: Team) -> None:
    problem = await client.refused(422, f"{team.path}/runs", team.editor, announced(DIGEST_C))
    assert problem["code"] == "missing_inputs"
    assert len(problem["errors"]) == 2


async def test_who_could_approve_is_shown_and_is_no_part_of_the_plan(
    client: Client, team: Team
) -> None:
    previewed = await client.post(f"{team.path}/runs:preview", team.editor, announced(DIGEST_C))
    (approval,) = previewed["approvals"]
    assert approval["approvers"] == [team.reviewer.name]
    assert team.reviewer.name not in str(previewed["plan"])


async def test_an_environment_is_no_lock(client: Client, team: Team) -> None:
    """A definition is names; what runs is named by a lock."""
    defined = await client.post(
        f"{team.path}/environments", team.editor, {"environment": environment(unique("env"))}
    )
    request = announced(DIGEST_C) | {"environment_lock": {"id": defined["id"]}}
    await client.refused(404, f"{team.path}/runs:preview", team.editor, request)
