"""A database in which every table has rows, so that what refuses a change has one to refuse."""

from __future__ import annotations

from animus.domain.access import Role
from animus.domain.digests import sha256
from animus.domain.runs import RunState
from animus.domain.sources.objects import ObjectFormat
from animus.domain.triggers import Trigger
from animus.services import audit_events, sources, telemetry
from animus.services.sources import DeclareSource
from animus.services.telemetry import Message, MetricPoint
from tests.support.clients import Client
from tests.support.clusters import (
    allow_clusters,
    another_cluster,
    beat,
    fall_silent,
    look_at_agents,
)
from tests.support.documents import short_pipeline
from tests.support.limits import limit_cluster, limit_project
from tests.support.people import Team, delegate, make_member, make_service_account, make_team
from tests.support.platforms import Platform
from tests.support.runs import DrivenRun, make_run, production_request, start, submit, upload
from tests.support.source_packs import find_vector
from tests.support.telling import tell_reviewer

TALKING = short_pipeline(train={"data": "data", "out": "model", "telemetry": True})


async def fill(platform: Platform, client: Client) -> Team:
    """One project with something of everything."""
    team = await make_team(platform)
    await _delegate(platform, team)
    await make_service_account(platform, team, accountable=team.viewer, roles=[Role.REVIEWER])
    await allow_clusters(platform, team, platform.cluster.name)
    await _prove_a_source(platform, team)
    await _execute(platform, team)
    await _wait(platform, team)
    await _lose_an_agent(platform)
    await audit_events.integrate(platform.worker)
    await _stop(platform, team)
    await make_run(platform, team, RunState.REJECTED)
    await _ask(platform, client, team)
    await tell_reviewer(platform, team)
    await client.post(f"{team.path}/datasets", team.editor, {"name": "d"}, idempotency_key="k")
    return team


async def _delegate(platform: Platform, team: Team) -> None:
    """The reviewer has another one decide in that place, who has done so once."""
    second = await make_member(platform, team, Role.REVIEWER)
    made = await delegate(platform, team, team.reviewer, second)
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    await run.decide(second, delegation=made.id)
    await run.cancel()
    await run.finalise()


async def _prove_a_source(platform: Platform, team: Team) -> None:
    vector = find_vector("accepted-plain-sha1")
    call = await platform.call(team.editor, team.project_id)
    async with platform.api.write() as uow:
        declared = await sources.declare_source(
            uow, call, team.project_id, store=platform.store,
            said=DeclareSource(
                pack_sha256=sha256(vector.pack), size=len(vector.pack), commit=vector.commit,
                object_format=ObjectFormat(vector.object_format), path=vector.path,
            ),
        )  # fmt: skip
    await upload(platform, team.project_id, vector.pack)
    await sources.commit_source(
        platform.api, call, team.project_id, declared.id, store=platform.store
    )


async def _execute(platform: Platform, team: Team) -> None:
    """A run that talks while it runs, and succeeds."""
    request = await production_request(platform, team, pipeline=TALKING)
    run = await submit(platform, team, request, trigger=Trigger(system="github", job="train"))
    await start(run)
    await _note(run)
    opened = await run.open()
    await run.claim(opened)
    call = await platform.call(team.editor, team.project_id)
    async with platform.api.write() as uow:
        point = MetricPoint(name="loss", step_number=1, value=0.5)
        await telemetry.log_metrics(uow, call, team.project_id, run.id, [point])
        message = Message(level="info", message="hello", fields={})
        await telemetry.log_messages(uow, call, team.project_id, run.id, [message])
    await run.succeed(opened, model=b"a model")
    await run.finalise()


async def _wait(platform: Platform, team: Team) -> None:
    """Of two runs one waits. Both are canceled: there is one queue for all tests."""
    await limit_cluster(platform, {})
    await limit_project(platform, team, {"runs": 1})
    made = [await submit(platform, team) for _ in range(2)]
    for run in made:
        await start(run)
    made.append(await _leave(platform, team))
    await limit_project(platform, team, {})
    for run in made:
        await run.cancel()
        await run.finalise()


async def _leave(platform: Platform, team: Team) -> DrivenRun:
    """A run that waited with an approval, which was withdrawn."""
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    await run.decide()
    await run.settle()
    await run.revalidate()
    await run.withdraw()
    await run.revalidate()
    return run


async def _ask(platform: Platform, client: Client, team: Team) -> None:
    """A run that waits at its gate; of two questions about it one is answered."""
    run = await make_run(platform, team, RunState.AWAITING_APPROVAL)
    (gate,) = await client.get(f"{run.path}/gates", team.viewer)
    path = f"{team.path}/gates/{gate['id']}/questions"
    answered, _ = [await client.post(path, team.reviewer, {"text": "why?"}) for _ in range(2)]
    address = f"{team.path}/questions/{answered['id']}/answer"
    await client.post(address, team.editor, {"text": "because"})


async def _lose_an_agent(platform: Platform) -> None:
    """Of a cluster of its own, so that nobody brings it back."""
    async with another_cluster(platform) as cluster:
        await beat(platform, cluster.agent)
        fall_silent(platform, cluster)
        await look_at_agents(platform)


async def _note(run: DrivenRun) -> None:
    """Two executions of one workflow: the second is an incident."""
    for execution in ("first", "second"):
        await run.plan(execution=execution)


async def _stop(platform: Platform, team: Team) -> None:
    run = await make_run(platform, team, RunState.RUNNING)
    opened = await run.open()
    await run.cancel()
    await run.stop(opened)
    await run.finalise()
