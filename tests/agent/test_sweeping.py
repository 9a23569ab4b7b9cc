"""What crashes leave behind is found and removed; what belongs to others is left alone."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from animus.adapters.container.groups import find_groups, remove_group
from animus.adapters.container.phases import Naming
from animus.domain.errors import Unavailable
from animus.domain.ids import AttemptId
from animus.ports import ExecutionPhase
from tests.agent.agents import Bench, Driver, running_with, until
from tests.agent.conftest import Images
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step
from tests.conftest import RecordCases
from tests.support.waiting import eventually

DAY = 24 * 3600
STAY = "import time; print('begun', flush=True); time.sleep(120)"


@pytest.fixture
async def order(platform: Platform, images: Images) -> Order:
    return await platform.open_attempt(python_step(images.demo, STAY))


async def make_container(bench: Bench, naming: Naming, image: str, *, how: str) -> str:
    attempt_id = AttemptId(uuid4())
    name = naming.name_of(attempt_id, ExecutionPhase.MAIN)
    labels = [f"--label={key}={value}" for key, value in naming.labels_of(attempt_id).items()]
    begin = ("create",) if how == "created" else ("run", "--detach")
    command = "true" if how == "ended" else "sleep 120"
    sandbox = bench.engine.sandbox
    runtime = ("--runtime", sandbox.name) if sandbox is not None else ()
    options = ("--network=none", f"--cgroup-parent=/{name}", *bench.engine.run_options)
    await bench.engine.ask(
        *runtime, *begin, "--name", name, *labels, *options, image, "/bin/sh", "-c", command
    )
    return name


@pytest.mark.usefixtures("platform")
async def test_containers_that_no_attempt_knows_are_removed(
    bench: Bench, images: Images, record_cases: RecordCases
) -> None:
    states = ("created", "running", "ended")
    orphans = [await make_container(bench, bench.naming, images.demo, how=how) for how in states]
    neighbour = Naming(cluster=bench.naming.cluster, agent="00000000")
    foreign = await make_container(bench, neighbour, images.demo, how="running")
    try:
        removed = await bench.agent.sweep()
        groups = {f"control group {name}" for name in orphans[1:]}  # one never started
        assert set(removed) == {f"container {name}" for name in orphans} | groups
        assert find_groups(bench.naming.prefix) == set()
        assert await bench.engine.list_containers(bench.naming.labels) == {}
        assert await bench.engine.find_container(foreign) is not None
    finally:
        await bench.engine.remove(foreign, force=True)
        await until(lambda: _is_gone(foreign))
    record_cases("orphaned containers", len(states))


def _is_gone(group: str) -> bool:
    """The engine's monitor may take a moment to leave it."""
    with suppress(OSError):
        remove_group(group)
    return group not in find_groups(group)


@pytest.mark.usefixtures("platform")
async def test_what_a_killed_client_half_started_is_removed(
    bench: Bench, images: Images, record_cases: RecordCases
) -> None:
    """Killed a little later each time; podman itself loses sight of some of what it began."""
    moments = [step * 0.025 for step in range(10)]
    for moment in moments:
        name = await make_container(bench, bench.naming, images.demo, how="created")
        client = await asyncio.create_subprocess_exec(
            *bench.engine.argv, "start", name, env=bench.engine.environment,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        await asyncio.wait([asyncio.create_task(client.wait())], timeout=moment)
        if client.returncode is None:
            os.kill(client.pid, signal.SIGKILL)
        await client.wait()
        await _swept(bench)
        assert await bench.engine.list_containers(bench.naming.labels) == {}
        assert running_with(bench.naming.prefix) == []
    record_cases("moments of a client's death", len(moments))


async def _swept(bench: Bench) -> None:
    """As the agent process does it: again, while the engine still meets its own ruins."""

    async def is_swept() -> bool:
        try:
            await bench.agent.sweep()
        except Unavailable:
            return False
        return True

    await eventually(is_swept, "the engine removes what was left")


async def test_an_open_attempt_is_left_alone(bench: Bench, order: Order, tmp_path: Path) -> None:
    driver = Driver.start(bench.section, order, scratch=tmp_path)
    try:
        await until(lambda: bench.has_said(order, "begun"))
    finally:
        driver.kill()
    assert await bench.agent.sweep() == []
    assert await bench.is_running(order, ExecutionPhase.MAIN)
    await bench.stop(order)


async def test_files_of_a_closed_attempt_go_and_its_answer_stays_for_a_week(
    bench: Bench, order: Order
) -> None:
    await bench.stop(order)
    left = bench.directory(order) / "data"
    left.mkdir()
    (left / "big").write_bytes(b"x")
    assert await bench.agent.sweep() == [f"files of attempt {order.attempt_id}"]
    assert bench.has_fact(order, "stopped")
    facts = bench.directory(order) / "journal"
    given = facts.stat().st_mtime
    os.utime(facts, (given - 6 * DAY, given - 6 * DAY))
    assert await bench.agent.sweep() == []
    os.utime(facts, (given - 7 * DAY - 60, given - 7 * DAY - 60))
    assert await bench.agent.sweep() == [f"journal of attempt {order.attempt_id}"]
    assert not bench.directory(order).exists()


async def test_a_directory_that_is_no_attempts_is_left_alone(bench: Bench) -> None:
    mine = bench.section.state_dir / "attempts" / "notes"
    mine.mkdir()
    assert await bench.agent.sweep() == []
    assert mine.is_dir()
