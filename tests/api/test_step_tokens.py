"""What a step may do with its tokens: its own run's telemetry and artifacts, and nothing later."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import psycopg
import pytest

from animus.domain.attempts import AttemptOutcome
from animus.domain.digests import format_digest, sha256
from animus.domain.errors import NotFound
from animus.domain.runs import RunState
from animus.domain.work_orders import ResultLog, ResultOutput
from animus.services.registration import Answer
from tests.api.scenes import Scene, bodies
from tests.support.clients import Client, problem_of
from tests.support.documents import short_pipeline
from tests.support.filled import TALKING
from tests.support.people import Team, make_service_account
from tests.support.platforms import Member, Platform
from tests.support.runs import CONTENT, make_run, production_request, upload

pytestmark = pytest.mark.stack

Artifact = tuple[str, dict[str, Any]]


def holder(token: str | None) -> Member:
    assert token is not None
    return Member(id=None, name="", token=token)  # type: ignore[arg-type]  # only its token counts


async def test_a_run_token_logs_to_its_own_run(client: Client, scene: Scene) -> None:
    said = bodies(scene.ids)
    for operation, noun in (("log_metrics", "metrics"), ("log_messages", "messages")):
        path = f"{scene.team.path}/runs/{scene.ids['run_id']}/{noun}"
        await client.post(path, scene.run_token, said[operation])
        refused = await client.refused(403, path, scene.other_run_token, said[operation])
        assert refused["code"] == "run_token_scope"
        seen = await client.get(path, scene.team.viewer)
        assert len(seen) >= 1


async def test_an_artifact_of_a_step_belongs_to_its_run(client: Client, scene: Scene) -> None:
    said = bodies(scene.ids)["declare_artifact"] | {"name": "from the step".replace(" ", "-")}
    declared = await client.post(f"{scene.team.path}/artifacts", scene.run_token, said)
    commit = f"{scene.team.path}/artifacts/{declared['artifact_id']}:commit"
    assert (await client.refused(403, commit, scene.other_run_token))["code"] == "run_token_scope"
    refused = await client.refused(403, f"{scene.team.path}/artifacts", scene.other_run_token, said)
    assert refused["code"] == "run_token_scope"


async def committed(client: Client, team: Team, by: Member, run_id: str, name: str) -> Artifact:
    """An artifact that `by` declared, uploaded and committed: (its id, what is shown of it)."""
    content = name.encode()
    said = {
        "run_id": run_id, "name": name,
        "sha256": format_digest(sha256(content)), "size": len(content),
    }  # fmt: skip
    declared = await client.post(f"{team.path}/artifacts", by, said)
    await client.upload(declared["upload"], content)
    commit = f"{team.path}/artifacts/{declared['artifact_id']}:commit"
    return str(declared["artifact_id"]), await client.post(commit, by)


def lineage_of(platform: Platform, run_id: str, artifact_id: str) -> list[tuple[str, str, str]]:
    with psycopg.connect(platform.owner_url) as connection:
        return connection.execute(
            "SELECT subject_kind, predicate, object_kind FROM lineage_edges "
            "WHERE run_id = %s AND %s IN (subject_id, object_id)",
            (run_id, artifact_id),
        ).fetchall()


async def test_what_a_step_uploads_is_of_its_attempt_and_never_an_input(
    platform: Platform, client: Client, scene: Scene
) -> None:
    run_id = scene.ids["run_id"]
    id_, shown = await committed(client, scene.team, scene.run_token, run_id, "curve")
    assert (shown["origin"], shown["step"], shown["usable"]) == ("telemetry", "train", False)
    assert lineage_of(platform, run_id, id_) == [("run", "produced", "artifact")]
    with psycopg.connect(platform.owner_url) as connection:
        row = connection.execute("SELECT attempt_id FROM artifacts WHERE id = %s", [id_]).fetchone()
    assert row == (scene.claim.attempt_id,)


async def test_what_a_person_uploads_was_attached_and_not_produced(
    platform: Platform, client: Client, scene: Scene
) -> None:
    run_id = scene.ids["run_id"]
    id_, shown = await committed(client, scene.team, scene.team.editor, run_id, "model")
    assert (shown["origin"], shown["step"], shown["usable"]) == ("api", "", False)
    assert lineage_of(platform, run_id, id_) == [("artifact", "attached_to", "run")]


async def test_an_output_may_have_the_name_of_the_log(
    platform: Platform, client: Client, team: Team
) -> None:
    pipeline = short_pipeline(train={"data": "data", "out": "train-1.log"})
    request = await production_request(platform, team, pipeline=pipeline)
    run = await make_run(platform, team, RunState.RUNNING, request=request)
    opened = await run.open()
    await upload(platform, team.project_id, CONTENT)
    digest = format_digest(sha256(CONTENT))
    output = ResultOutput(name="train-1.log", kind="file", sha256=digest, size=len(CONTENT))
    log = ResultLog(sha256=digest, size=len(CONTENT), truncated=False)
    result = run.result(
        opened, outcome=AttemptOutcome.SUCCEEDED, exit_code=0, outputs=(output,), log=log
    )
    closed = await run.close(opened, run.signed(result))
    assert closed.outcome is AttemptOutcome.SUCCEEDED
    listed = await client.get(f"{team.path}/artifacts", team.viewer, run_id=str(run.id))
    assert {(one["name"], one["origin"], one["usable"]) for one in listed["artifacts"]} == {
        ("train-1.log", "collect", True), ("train-1.log", "log", False),
    }  # fmt: skip


async def test_an_attempt_is_closed_for_its_own_run_only(platform: Platform, team: Team) -> None:
    one, other = [await make_run(platform, team, RunState.RUNNING) for _ in range(2)]
    opened = await one.open()
    with pytest.raises(NotFound):
        await other.close(opened, Answer(failure_code="forged"))
    assert (await one.fail(opened)).outcome is AttemptOutcome.FAILED


async def test_tokens_end_with_their_attempt(
    platform: Platform, client: Client, team: Team
) -> None:
    request = await production_request(platform, team, pipeline=TALKING)
    run = await make_run(platform, team, RunState.RUNNING, request=request)
    opened = await run.open()
    claim = await run.claim(opened)
    attempt, step = holder(claim.attempt_token), holder(claim.run_token)
    metrics = {"points": [{"name": "loss", "value": 1.0}]}
    await client.get("/attempt/inputs", attempt)
    await client.post(f"{run.path}/metrics", step, metrics)
    await run.succeed(opened, model=b"a model")
    problem_of(await client.send("GET", "/attempt/inputs", attempt), 401)
    problem_of(await client.send("POST", f"{run.path}/metrics", step, metrics), 401)


async def test_an_attempt_reads_its_inputs_and_is_told_where_to_put_outputs(
    client: Client, scene: Scene
) -> None:
    read = await client.get("/attempt/inputs", scene.attempt_token)
    assert (read["run_id"], read["step"], read["attempt"]) == (scene.ids["run_id"], "train", 1)
    (given,) = read["inputs"]
    fetched = await client.outside.get(given["files"][0]["download"]["url"])
    assert fetched.content == CONTENT
    output = b"an output of the step"
    wanted = {"objects": [{"sha256": format_digest(sha256(output)), "size": len(output)}]}
    answer = await client.post("/attempt/uploads", scene.attempt_token, wanted)
    await client.upload(answer["uploads"][0], output)


async def test_an_order_is_obeyed_only_as_it_was_signed_and_by_its_cluster(
    platform: Platform, client: Client, team: Team
) -> None:
    run = await make_run(platform, team, RunState.RUNNING)
    opened = await run.open()
    said = {
        "order": b64encode(opened.order).decode(),
        "signature": b64encode(opened.signature).decode(),
    }
    path = "/agent/attempts:claim"
    stranger = await make_service_account(platform, team, accountable=team.admin)
    forged = b64encode(opened.order.replace(b"train", b"trait")).decode()
    unsigned = b64encode(bytes(64)).decode()
    for by, body in (
        (stranger, said),
        (platform.cluster.agent, said | {"order": forged}),
        (platform.cluster.agent, said | {"signature": unsigned}),
    ):
        refused = await client.refused(403, path, by, body)
        assert refused["code"] == "order_refused"
    first, again = [await client.post(path, platform.cluster.agent, said) for _ in range(2)]
    assert (first["first"], again["first"]) == (True, False)
    await run.cancel()
    refused = await client.refused(403, path, platform.cluster.agent, said)
    assert refused["code"] == "order_refused"
