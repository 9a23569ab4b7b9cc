"""What an attempt took: measured for all of main, also without an agent, and signed."""

from __future__ import annotations

import json
from pathlib import Path

from animus.adapters.container.groups import find_groups
from animus.domain.work_orders import Usage
from animus.ports import ExecutionPhase
from tests.agent.agents import Bench, Driver, until
from tests.agent.conftest import BOTH, Images, MakeAgent
from tests.agent.platforms import Platform
from tests.agent.steps import UNTIL_GO, python_step

pytestmark = BOTH

MIB = 1024 * 1024
WORK = "for _ in range(400_000_000): pass"
"""Some seconds. By an amount: a sandbox's clock counts what the machine gave to others too."""
BUSY = (
    "import os\n"
    "if os.fork() == 0:\n"
    "    x = bytearray(os.urandom(1)) * (100 << 20)\n"
    f"    {WORK}\n"
    "    os._exit(0)\n"
    "os.wait(); open('/animus/out/model', 'w').write('m' * 1000)"
)
"""All in a child: what main's first process took itself is next to nothing."""


async def test_what_all_processes_of_a_step_took_is_in_the_signed_result(
    platform: Platform, bench: Bench, images: Images
) -> None:
    name = await platform.push_dataset({"a.csv": b"x" * 500, "deep/b.csv": b"y" * 5})
    inputs = {"datasets": [{"name": "table", "datasetRef": "d"}], "artifacts": []}
    step = python_step(images.demo, BUSY, outputs=["model"], inputs=inputs)
    order = await platform.open_attempt(step, datasets={"d": {"name": name}})
    signed = await bench.execute(order)
    usage = (await bench.result(order)).usage
    assert usage is not None
    assert (usage.bytes_in, usage.bytes_out, usage.unknown) == (505, 1000, {})
    assert 1_000 <= (usage.cpu_milliseconds or 0) < 60_000
    assert 100 * MIB <= (usage.peak_memory_bytes or 0) <= 256 * MIB
    await platform.close_attempt(order, signed.document, signed.signature)
    detail = (await platform.client.get(f"/runs/{order.run_id}")).json()
    shown = detail["steps"][0]["attempts"][0]["usage"]
    assert shown == {name: getattr(usage, name) for name in Usage.model_fields}
    assert find_groups(bench.naming.prefix) == set()


async def test_a_step_that_fails_at_once_is_measured_too(
    platform: Platform, bench: Bench, images: Images
) -> None:
    result = await bench.result(await platform.open_attempt(python_step(images.demo, "exit(3)")))
    assert result.usage is not None
    assert result.usage.unknown == {}
    assert (result.usage.cpu_milliseconds or 0) > 0
    assert (result.usage.peak_memory_bytes or 0) > MIB


async def test_what_ended_without_an_agent_is_measured(
    platform: Platform, bench: Bench, images: Images, tmp_path: Path
) -> None:
    """The engine has taken the container's own group away by then."""
    script = f"print('begun', flush=True)\n{UNTIL_GO}{WORK}\nprint('ended')"
    order = await platform.open_attempt(python_step(images.demo, script))
    driver = Driver.start(bench.section, order, scratch=tmp_path)
    try:
        await until(lambda: bench.has_said(order, "begun"))
    finally:
        driver.kill()
    bench.let_go_on(order)
    await until(lambda: not bench.processes(order))
    assert not await bench.is_running(order, ExecutionPhase.MAIN)
    usage = (await bench.result(order)).usage
    assert usage is not None
    assert usage.unknown == {}
    assert (usage.cpu_milliseconds or 0) >= 1_000


async def test_what_cannot_be_measured_is_named_with_a_reason(
    platform: Platform, make_agent: MakeAgent, images: Images, bench: Bench, tmp_path: Path
) -> None:
    """As under an engine whose control groups another program makes, and removes."""
    assert bench.section.engine_file is not None
    file = tmp_path / "engine.json"
    described = json.loads(bench.section.engine_file.read_text())
    file.write_text(json.dumps(described | {"cgroup_manager": "systemd"}))
    other = make_agent(engine_file=file)
    result = await other.result(await platform.open_attempt(python_step(images.demo, "pass")))
    assert result.failure is None
    assert result.usage is not None
    assert result.usage.content().keys() == {"bytes_in", "bytes_out", "unknown"}
    assert set(result.usage.unknown) == {"cpu_milliseconds", "peak_memory_bytes"}
