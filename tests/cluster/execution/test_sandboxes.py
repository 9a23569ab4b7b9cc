"""gVisor on a real node: a step whose environment names its RuntimeClass runs in it, whole."""

from __future__ import annotations

import pytest

from animus.domain.canonical import JsonObject
from deploy.dev_cluster.sandboxes import RUNTIME_CLASS, find_sandbox
from deploy.embedded.servers import cache_directory
from tests.agent.agents import read_result
from tests.agent.conftest import Images
from tests.agent.platforms import Platform
from tests.agent.steps import python_step
from tests.cluster.execution.conftest import MakeBench
from tests.cluster.execution.environments import open_in_environment

pytestmark = pytest.mark.cluster

PLACEMENT: JsonObject = {"runtime_class": RUNTIME_CLASS}
GRANTS = {"runtime_classes": [RUNTIME_CLASS]}
LOOK = "open('/animus/out/kernel', 'w').write(open('/proc/version').read()); print('seen')"


async def test_a_step_runs_under_the_kernel_that_its_environment_names(
    platform: Platform, images: Images, make_bench: MakeBench
) -> None:
    """Inputs, output, log and end are those of any step; only its kernel is another."""
    assert find_sandbox(cache_directory()) is not None, "build it: make cluster-up says why not"
    bench = await make_bench(kubernetes={"grants": GRANTS})
    step = python_step(images.demo, LOOK, outputs=["kernel"], resources={"cpu": "200m"})
    order = await open_in_environment(platform, images, step, placement=PLACEMENT)
    signed = await bench.execute(order)
    result = read_result(signed.document)
    assert result.failure is None, result.failure
    assert b"gvisor" in await platform.read_object(result.outputs[0].sha256)
    assert "seen" in await platform.read_log(result)
    assert result.posture is not None
    assert result.posture.runtime == RUNTIME_CLASS
    assert (await platform.close_attempt(order, signed.document, signed.signature)).outcome == (
        "succeeded"
    )


async def test_a_step_that_fails_there_fails_as_anywhere(
    platform: Platform, images: Images, make_bench: MakeBench
) -> None:
    bench = await make_bench(kubernetes={"grants": GRANTS})
    step = python_step(images.demo, "exit(3)", resources={"cpu": "200m"})
    result = await bench.result(
        await open_in_environment(platform, images, step, placement=PLACEMENT)
    )
    assert result.failure is not None
    assert (result.failure.code, result.exit_code) == ("exit_code", 3)
