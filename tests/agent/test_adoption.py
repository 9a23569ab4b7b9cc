"""An agent that is killed leaves an attempt where it is, and the next one brings it to its end."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from animus.adapters.container import phases
from animus.adapters.signing import make_key
from animus.domain.work_orders import AttemptResult
from animus.ports import ExecutionPhase
from tests.agent.agents import Bench, Driver, until
from tests.agent.conftest import BOTH, Images, MakeAgent
from tests.agent.platforms import Order, Platform
from tests.agent.steps import UNTIL_GO, python_step
from tests.conftest import RecordCases

pytestmark = BOTH

COUNT = "open('/animus/out/count', 'a').write('x'); print('begun', flush=True)"
"""Leaves one x for each time that main was started."""
COUNT_AND_STAY = f"import time; {COUNT}; time.sleep(1.5); print('ended')"

Moment = Callable[[Bench, Order], bool]


def fact(name: str) -> Moment:
    return lambda bench, order: bench.has_fact(order, name)


def logs_of(phase: ExecutionPhase) -> Moment:
    """The engine has begun to watch that container."""
    return lambda bench, order: (bench.directory(order) / "logs" / phase).is_file()


MOMENTS: dict[str, Moment] = {
    "before the claim": fact("received"),
    "before fetch": lambda bench, order: (bench.directory(order) / "attempt-token").is_dir(),
    "in fetch": logs_of(ExecutionPhase.FETCH),
    "between fetch and main": fact("fetched"),
    "at the start of main": fact("main-may-run"),
    "in main": lambda bench, order: bench.has_said(order, "begun"),
    "after main": fact("main-ended"),
    "before collect": fact("main-logged"),
    "in collect": logs_of(ExecutionPhase.COLLECT),
    "after the answer": fact("result"),
}


async def test_an_attempt_survives_its_agent_whenever_that_is_killed(
    platform: Platform,
    images: Images,
    make_agent: MakeAgent,
    tmp_path: Path,
    record_cases: RecordCases,
) -> None:
    """A kill -9 at each moment, each in an attempt and an agent of its own."""
    turns = asyncio.Semaphore(4)

    async def survive(number: int, moment: Moment) -> str:
        async with turns:
            scratch = tmp_path / str(number)
            scratch.mkdir()
            make_key(scratch / "agent.key")
            bench = make_agent(state_dir=scratch / "agent", key_file=scratch / "agent.key")
            order = await open_counted(platform, images)
            result = await killed_at(moment, bench, order, scratch)
            return await told(platform, result)

    ended = await asyncio.gather(*(survive(n, m) for n, m in enumerate(MOMENTS.values())))
    assert dict(zip(MOMENTS, ended, strict=True)) == dict.fromkeys(MOMENTS, "succeeded: x")
    record_cases("moments of an agent's death", len(MOMENTS))


async def test_what_ended_while_no_agent_was_there_is_collected(
    platform: Platform, images: Images, bench: Bench, tmp_path: Path
) -> None:
    order = await open_counted(platform, images)
    await kill_at(MOMENTS["in main"], bench, order, tmp_path)
    await until(lambda: bench.has_said(order, "ended"))
    result = await bench.result(order)
    assert await told(platform, result) == "succeeded: x"
    assert "ended" in await platform.read_log(result)


async def test_the_engine_ends_what_no_agent_watches_any_more(
    platform: Platform, images: Images, make_agent: MakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "ENGINE_GRACE", 1)
    step = python_step(images.demo, f"{COUNT}; import time; time.sleep(300)", timeout=15)
    order = await platform.open_attempt(step)
    away = make_agent()
    asking = asyncio.create_task(away.execute(order))
    await until(lambda: away.has_said(order, "begun"))
    await away.agent.close()
    await asyncio.wait([asking])
    await until(lambda: not away.processes(order))
    assert await told(platform, await make_agent().result(order)) == "user/timed_out"


async def test_a_container_that_vanished_with_its_agent_is_lost_and_not_started_again(
    platform: Platform, images: Images, bench: Bench, tmp_path: Path
) -> None:
    order = await open_counted(platform, images)
    await kill_at(MOMENTS["in main"], bench, order, tmp_path)
    await bench.engine.remove(bench.name(order, ExecutionPhase.MAIN), force=True)
    assert await told(platform, await bench.result(order)) == "platform/lost"


async def test_an_attempt_of_which_the_agent_has_lost_its_record_is_lost(
    platform: Platform, images: Images, bench: Bench, tmp_path: Path
) -> None:
    """It was claimed before, so it may have run; what still runs of it is ended."""
    order = await open_counted(platform, images)
    await kill_at(MOMENTS["in main"], bench, order, tmp_path)
    shutil.rmtree(bench.directory(order))
    assert await told(platform, await bench.result(order)) == "platform/lost"
    assert await bench.containers(order.attempt_id) == []


async def test_what_was_created_and_not_started_is_thrown_away(
    platform: Platform, images: Images, bench: Bench
) -> None:
    """As a client leaves it that is killed half way."""
    order = await open_counted(platform, images)
    for phase in (ExecutionPhase.FETCH, ExecutionPhase.MAIN, ExecutionPhase.COLLECT):
        labels = [f"--label={k}={v}" for k, v in bench.naming.labels_of(order.attempt_id).items()]
        name = bench.name(order, phase)
        await bench.engine.ask("create", "--name", name, *labels, images.demo, "/bin/true")
    assert await told(platform, await bench.result(order)) == "succeeded: x"


async def test_all_who_ask_at_once_get_the_one_answer(
    platform: Platform, images: Images, bench: Bench
) -> None:
    order = await open_counted(platform, images)
    first, *others = await asyncio.gather(*(bench.execute(order) for _ in range(5)))
    assert others == [first] * 4
    assert await bench.execute(order) == first
    assert await told(platform, await bench.result(order)) == "succeeded: x"


async def test_who_stops_waiting_stops_nothing(
    platform: Platform, images: Images, bench: Bench
) -> None:
    """As when Temporal cancels the activity: `stop_attempt` ends containers, nothing else."""
    script = f"{COUNT}\n{UNTIL_GO}"
    order = await platform.open_attempt(python_step(images.demo, script, outputs=["count"]))
    asking = asyncio.create_task(bench.execute(order))
    await until(lambda: bench.has_said(order, "begun"))
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    assert await bench.is_running(order, ExecutionPhase.MAIN)
    bench.let_go_on(order)
    assert await told(platform, await bench.result(order)) == "succeeded: x"


async def open_counted(platform: Platform, images: Images) -> Order:
    return await platform.open_attempt(python_step(images.demo, COUNT_AND_STAY, outputs=["count"]))


async def kill_at(moment: Moment, bench: Bench, order: Order, scratch: Path) -> None:
    driver = Driver.start(bench.section, order, scratch=scratch)
    try:
        await until(lambda: moment(bench, order))
    finally:
        driver.kill()


async def killed_at(moment: Moment, bench: Bench, order: Order, scratch: Path) -> AttemptResult:
    await kill_at(moment, bench, order, scratch)
    return await Driver.start(bench.section, order, scratch=scratch).result()


async def told(platform: Platform, result: AttemptResult) -> str:
    """The outcome, and how often main was started; or why it failed."""
    if result.failure is not None:
        return f"{result.failure.failure_class}/{result.failure.code}"
    (output,) = result.outputs
    return f"{result.outcome}: {(await platform.read_object(output.sha256)).decode()}"
