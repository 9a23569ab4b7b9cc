"""An attempt on a real node: what a step is given, what comes back, what is kept how long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from animus.domain.canonical import JsonObject
from animus.domain.work_orders import AttemptResult
from deploy.local.clusters import NAMESPACE
from tests.agent.agents import read_result
from tests.agent.conftest import Images
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step
from tests.cluster.execution.benches import USER, ClusterBench
from tests.cluster.execution.conftest import CLUSTER

pytestmark = pytest.mark.cluster

PROBE = (Path(__file__).parents[2] / "agent" / "probe.py").read_text()
SAY = "print('hello'); open('/animus/out/model', 'w').write('weights')"


async def close(platform: Platform, bench: ClusterBench, order: Order) -> AttemptResult:
    """Executed, and its outcome recorded."""
    signed = await bench.execute(order)
    result = read_result(signed.document)
    closed = await platform.close_attempt(order, signed.document, signed.signature)
    assert closed.outcome == result.outcome, result
    return result


async def test_a_step_runs_and_its_output_and_log_are_stored(
    platform: Platform, images: Images, bench: ClusterBench
) -> None:
    order = await platform.open_attempt(python_step(images.demo, SAY, outputs=["model"]))
    result = await close(platform, bench, order)
    assert result.failure is None, result.failure
    assert result.exit_code == 0
    (output,) = result.outputs
    assert await platform.read_object(output.sha256) == b"weights"
    assert (await platform.read_log(result)).endswith(" out hello\n")


async def test_what_was_measured_and_how_it_was_confined_is_in_the_result(
    platform: Platform, images: Images, bench: ClusterBench
) -> None:
    work = "x = bytearray(64 * 1024**2); s = sum(range(3_000_000))"
    result = await close(
        platform, bench, await platform.open_attempt(python_step(images.demo, work))
    )
    usage, posture = result.usage, result.posture
    assert usage is not None
    assert usage.cpu_milliseconds is not None
    assert usage.cpu_milliseconds > 0
    assert usage.peak_memory_bytes is not None
    assert usage.peak_memory_bytes > 64 * 1024**2
    assert posture is not None
    assert posture.executor == "kubernetes"
    assert posture.engine.startswith("kubernetes v1.34")
    assert posture.image == images.demo.rpartition("@")[2]
    assert posture.user == str(USER)
    assert (posture.read_only_root, posture.no_new_privileges) == (True, True)
    assert (posture.capabilities, posture.seccomp) == ((), "RuntimeDefault")
    assert (posture.memory_bytes, posture.millicores) == (256 * 1024**2, 1000)


async def test_a_job_stays_until_its_outcome_is_recorded(
    platform: Platform, images: Images, bench: ClusterBench
) -> None:
    order = await platform.open_attempt(python_step(images.demo, SAY, outputs=["model"]))
    signed = await bench.execute(order)
    await bench.agent.release()
    assert await bench.left(order.attempt_id)
    await platform.close_attempt(order, signed.document, signed.signature)
    await bench.agent.release()
    assert await bench.left(order.attempt_id) == []


async def test_a_job_is_labelled_with_what_it_is_for(
    platform: Platform, images: Images, bench: ClusterBench
) -> None:
    order = await platform.open_attempt(python_step(images.demo, SAY, name="Train.it_now"))
    await bench.execute(order)
    job = await bench.job(order)
    assert job is not None
    labels = job["metadata"]["labels"]
    assert labels["animus.io/cluster"] == CLUSTER
    assert labels["animus.io/run"] == str(order.run_id)
    assert labels["animus.io/project"] == str(order.project_id)
    assert labels["animus.io/step"] == "Train.it_now"
    assert job["metadata"]["namespace"] == NAMESPACE


@pytest.fixture
async def seen(platform: Platform, images: Images, bench: ClusterBench) -> dict[str, Any]:
    """What the container executor's own probe sees here."""
    dataset = await platform.push_dataset({"a.csv": b"1,2\n", "deep/b.csv": b"3\n"})
    parameters: JsonObject = {"lr": 0.1, "text": "$(HOME) $$ \n=", "deep": {"a": [1]}}
    step = python_step(
        images.demo,
        PROBE,
        outputs=["report"],
        env={"GREETING": "hello = $(HOME)", "PROBE_API": '["127.0.0.1", 1]'},
        inputs={"datasets": [{"name": "table", "datasetRef": "data"}], "artifacts": []},
    )
    order = await platform.open_attempt(
        step, parameters=parameters, datasets={"data": {"name": dataset}}
    )
    result = await close(platform, bench, order)
    assert result.failure is None, result.failure
    found: dict[str, Any] = json.loads(await platform.read_object(result.outputs[0].sha256))
    return found


async def test_the_step_contract_is_that_of_every_executor(seen: dict[str, Any]) -> None:
    inputs = {name: shown.partition(" ")[2] for name, shown in seen["in"].items() if " " in shown}
    assert inputs == {"table/a.csv": "1,2\n", "table/deep/b.csv": "3\n"}
    assert seen["directory"] == "/animus/work"
    environment = seen["environment"]
    assert environment["GREETING"] == "hello = $(HOME)"
    assert environment["ANIMUS_PARAM_TEXT"] == "$(HOME) $$ \n="
    assert environment["ANIMUS_ATTEMPT"] == "1"
    assert not any("TOKEN" in name or "SECRET" in name for name in environment)
    assert not any(name.startswith("KUBERNETES_") for name in environment)
