"""A step on a real node is followed while it runs, also past the death of its agent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from deploy.dev_cluster.clusters import Cluster
from tests.agent.agents import Driver, read_result
from tests.agent.conftest import Images
from tests.agent.platforms import Platform
from tests.agent.steps import python_step
from tests.cluster.execution.benches import let_go_on
from tests.cluster.execution.conftest import MakeBench
from tests.support.log_readers import LogReader

pytestmark = pytest.mark.cluster

WORDS = 3
TALK = f"""
import os, time
for n in range({WORDS}):
    print(f"word {{n}} \\x1b[2J", flush=True)
    while not os.path.exists(f"/tmp/go{{n}}"):
        time.sleep(0.1)
print("last")
"""


async def test_a_step_is_followed_past_the_death_of_its_agent(
    cluster: Cluster, platform: Platform, images: Images, make_bench: MakeBench, tmp_path: Path
) -> None:
    """Adopted by one with the same disk, then by one with another: what is seen is what is kept."""
    bench = await make_bench(state_dir=tmp_path / "first")
    order = await platform.open_attempt(python_step(images.demo, TALK, timeout=600))
    path = f"/runs/{order.run_id}/steps/{order.step}/attempts/1/log"
    reader = LogReader(platform.client, path)
    following = asyncio.create_task(reader.read())
    for number in range(2):
        driver = Driver.start(bench.section, order, scratch=tmp_path)
        try:
            await reader.has_seen(f"word {number} \\x1b[2J")
        finally:
            driver.kill()
        await let_go_on(cluster, bench, order, f"go{number}")
    other = await make_bench(state_dir=tmp_path / "second")
    executing = asyncio.create_task(other.execute(order))
    await reader.has_seen("word 2")
    assert not executing.done()
    await let_go_on(cluster, other, order, "go2")
    signed = await executing
    await platform.close_attempt(order, signed.document, signed.signature)
    assert (await following)["complete"]
    assert reader.shown == (await platform.read_log(read_result(signed.document))).encode()
    assert reader.shown.endswith(b" out last\n")
