"""What an agent attests of an attempt: kept as it was signed, shown, held against the plan."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from animus.domain.attempts import AttemptOutcome
from animus.domain.digests import format_digest, sha256
from animus.domain.runs import RunState
from animus.domain.work_orders import Failure, Posture, ResultOutput, Usage
from animus.services.attempts import OpenedAttempt
from animus.services.registration import Closed
from tests.support.clients import Client
from tests.support.people import Team, unique
from tests.support.platforms import Member, Platform, TestCluster
from tests.support.runs import MODEL, DrivenRun, make_run, production_request, start, submit, upload

pytestmark = pytest.mark.stack

USAGE = Usage(
    cpu_milliseconds=1_250,
    peak_memory_bytes=3 * 1024**3,
    bytes_in=0,
    unknown={"bytes_out": "Our own container beside the step did not say."},
)


def posture(runtime: str) -> Posture:
    return Posture(
        executor="container", engine="podman 4.3.1", runtime=runtime, image="sha256:" + "a" * 64,
        user="10001:0", network="none", read_only_root=True, capabilities=(),
        no_new_privileges=True, seccomp="default", memory_bytes=1, millicores=1, pids=1,
    )  # fmt: skip


@pytest.fixture
async def running(platform: Platform, team: Team) -> DrivenRun:
    return await make_run(platform, team, RunState.RUNNING)


@pytest.fixture
async def sandboxed(platform: Platform, client: Client, team: Team) -> AsyncIterator[DrivenRun]:
    """A run that is running on a cluster which promises a sandbox."""
    key = Ed25519PrivateKey.generate()
    said = {
        "name": unique("cluster"), "executor": "container", "runtime": "runsc",
        "result_key": key.public_key().public_bytes_raw().hex(),
    }  # fmt: skip
    made = await client.post("/clusters", platform.admin, said)
    agent = Member(id=made["cluster"]["principal_id"], name="agent", token=made["token"]["secret"])
    there = replace(platform, cluster=TestCluster(name=said["name"], agent=agent, key=key))
    request = await production_request(platform, team, cluster=said["name"])
    run = await submit(there, team, request)
    await start(run)
    yield run
    await client.post(f"/clusters/{made['cluster']['id']}:retire", platform.admin)


async def succeed(run: DrivenRun, opened: OpenedAttempt, **said: Any) -> Closed:
    await upload(run.platform, run.team.project_id, MODEL)
    digest = format_digest(sha256(MODEL))
    model = ResultOutput(name="model", kind="file", sha256=digest, size=len(MODEL))
    outcome = AttemptOutcome.SUCCEEDED
    result = run.result(opened, outcome=outcome, exit_code=0, outputs=(model,), **said)
    return await run.close(opened, run.signed(result))


async def attempt_of(client: Client, run: DrivenRun) -> dict[str, Any]:
    detail = await client.get(run.path, run.team.editor)
    attempt: dict[str, Any] = detail["steps"][0]["attempts"][-1]
    return attempt


async def test_what_an_attempt_took_is_kept_and_shown(
    platform: Platform, client: Client, running: DrivenRun
) -> None:
    opened = await running.open()
    await succeed(running, opened, usage=USAGE, posture=posture("runc"))
    assert (await attempt_of(client, running))["usage"] == {
        "cpu_milliseconds": 1_250, "peak_memory_bytes": 3 * 1024**3, "bytes_in": 0,
        "bytes_out": None, "unknown": USAGE.unknown,
    }  # fmt: skip
    assert kept(platform, opened) == (1_250, 3 * 1024**3, 0, None)


async def test_an_agent_that_does_not_measure_is_heard(
    platform: Platform, client: Client, running: DrivenRun
) -> None:
    opened = await running.open()
    assert (await succeed(running, opened)).outcome == "succeeded"
    assert (await attempt_of(client, running))["usage"] is None
    assert kept(platform, opened) == (None,) * 4


async def test_what_an_attempt_took_is_never_less_than_nothing(
    platform: Platform, running: DrivenRun
) -> None:
    opened = await running.open()
    await succeed(running, opened, usage=USAGE)
    shrink = "UPDATE attempt_outcomes SET bytes_in = -1 WHERE attempt_id = %s"
    with psycopg.connect(platform.owner_url) as connection:
        connection.execute("ALTER TABLE attempt_outcomes DISABLE TRIGGER refuse_change")
        with pytest.raises(psycopg.errors.CheckViolation, match="usage_not_negative"):
            connection.execute(shrink, [opened.attempt_id])
        connection.rollback()


async def test_a_step_in_its_promised_sandbox_succeeds(
    client: Client, sandboxed: DrivenRun
) -> None:
    plan = await client.get(f"{sandboxed.path}/plan", sandboxed.team.editor)
    codes = {one["code"] for one in plan["document"]["body"]["limitations"]}
    assert "runtime_runc" not in codes
    closed = await succeed(sandboxed, await sandboxed.open(), posture=posture("runsc"))
    assert closed.outcome == "succeeded"


@pytest.mark.parametrize("observed", ["runc", None])
async def test_what_was_made_outside_the_promised_sandbox_counts_for_nothing(
    client: Client, sandboxed: DrivenRun, observed: str | None
) -> None:
    said = {"posture": posture(observed)} if observed else {}
    closed = await succeed(sandboxed, await sandboxed.open(), **said)
    assert (closed.outcome, closed.again) == ("failed", False)
    attempt = await attempt_of(client, sandboxed)
    assert (attempt["failure_class"], attempt["failure_code"]) == ("environment", "sandbox_missing")
    assert "promises runsc" in attempt["message"]
    listed = await client.get(f"{sandboxed.team.path}/artifacts", sandboxed.team.editor)
    mine = [one for one in listed["artifacts"] if one["run_id"] == str(sandboxed.id)]
    assert [one["usable"] for one in mine] == [False]


async def test_a_failure_before_main_stays_what_it_was(
    client: Client, sandboxed: DrivenRun
) -> None:
    opened = await sandboxed.open()
    failure = Failure(failure_class="environment", code="image_missing", message="It is not here.")
    result = sandboxed.result(opened, outcome=AttemptOutcome.FAILED, failure=failure)
    await sandboxed.close(opened, sandboxed.signed(result))
    assert (await attempt_of(client, sandboxed))["failure_code"] == "image_missing"


def kept(platform: Platform, opened: OpenedAttempt) -> tuple[int | None, ...]:
    with psycopg.connect(platform.owner_url) as connection:
        row = connection.execute(
            "SELECT cpu_milliseconds, peak_memory_bytes, bytes_in, bytes_out "
            "FROM attempt_outcomes WHERE attempt_id = %s",
            [opened.attempt_id],
        ).fetchone()
    assert row is not None
    return tuple(row)
