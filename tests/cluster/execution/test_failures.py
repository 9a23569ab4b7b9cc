"""Every reason for which an attempt fails, provoked on a real node, and what a person is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from animus.agent.execution import AttemptInterrupted
from animus.domain.canonical import JsonObject
from animus.domain.work_orders import AttemptResult
from deploy.dev_cluster.clusters import Cluster
from tests.agent.agents import until
from tests.agent.conftest import Images
from tests.agent.platforms import Platform
from tests.agent.steps import python_step
from tests.cluster.execution.benches import UNTIL_GO, USER, ClusterBench, eventually, let_go_on
from tests.cluster.execution.conftest import MakeBench
from tests.cluster.execution.moments import is_in_main
from tests.cluster.jobs import apply, apply_quota
from tests.conftest import RecordCases

pytestmark = pytest.mark.cluster

NOWHERE = "localhost/nowhere@sha256:" + "0" * 64
HUNGRY = "x = bytearray(512 * 1024**2); print(len(x), flush=True); import time; time.sleep(60)"
STUBBORN = (
    "import os, signal, time\n"
    "for n in (signal.SIGTERM, signal.SIGINT): signal.signal(n, signal.SIG_IGN)\n"
    "os.fork(); time.sleep(600)"
)
WASTEFUL = (
    "import os, time\n"
    "for n in range(4):\n"
    "    with open(f'/animus/out/big{n}', 'wb') as f: f.write(os.urandom(12 * 1024**2))\n"
    "time.sleep(600)"
)
"""Writes more than it may, in files that each are small enough, and waits: the kubelet looks at
what is written now and then."""

Make = Callable[[Images], JsonObject]

FAILURES: Mapping[str, tuple[str, Make]] = {
    "exit code": ("user/exit_code", lambda images: python_step(images.demo, "exit(3)")),
    "out of memory": ("user/out_of_memory", lambda images: python_step(images.demo, HUNGRY)),
    "deadline": (
        "user/timed_out",
        lambda images: python_step(images.demo, STUBBORN, timeout=2),
    ),
    "no such command": (
        "user/exit_code",
        lambda images: python_step(images.demo, "") | {"command": ["/no/such/thing"]},
    ),
    "no command": (
        "environment/command_missing",
        lambda images: python_step(images.demo, "") | {"command": []},
    ),
    "required output missing": (
        "user/missing_output",
        lambda images: python_step(images.demo, "pass", outputs=["model"]),
    ),
    "no such image": (
        "environment/image_unavailable",
        lambda images: python_step(NOWHERE, "pass"),
    ),
    "unschedulable": (
        "environment/unschedulable",
        lambda images: python_step(images.demo, "pass", resources={"cpu": "100"}),
    ),
}


def code_of(result: AttemptResult) -> str:
    failure = result.failure
    return f"{failure.failure_class}/{failure.code}" if failure is not None else "succeeded"


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_is_named_for_what_it_is(
    name: str, platform: Platform, images: Images, make_bench: MakeBench, record_cases: RecordCases
) -> None:
    expected, make = FAILURES[name]
    bench = await make_bench(kubernetes={"room_seconds": 5})
    order = await platform.open_attempt(make(images))
    result = await bench.result(order)
    assert code_of(result) == expected
    record_cases("reasons on a real node", 1)


async def test_the_log_and_the_outputs_of_a_failed_step_are_kept(
    platform: Platform, images: Images, bench: ClusterBench
) -> None:
    script = "open('/animus/out/report', 'w').write('why'); print('so', flush=True); exit(4)"
    order = await platform.open_attempt(python_step(images.demo, script, outputs=["report"]))
    result = await bench.result(order)
    assert result.exit_code == 4
    assert "so" in await platform.read_log(result)
    assert await platform.read_object(result.outputs[0].sha256) == b"why"


async def test_a_step_that_writes_too_much_is_evicted_for_that(
    platform: Platform, images: Images, bench: ClusterBench
) -> None:
    step = python_step(images.demo, WASTEFUL, resources={"ephemeralStorage": "16Mi"}, timeout=300)
    result = await bench.result(await platform.open_attempt(step))
    assert code_of(result) == "user/storage_exceeded"


async def test_a_full_quota_is_said_and_not_waited_for_for_ever(
    cluster: Cluster,
    platform: Platform,
    images: Images,
    make_bench: MakeBench,
    make_namespace: Callable[[str], None],
    tmp_path: Path,
) -> None:
    make_namespace("small")
    apply_quota(cluster, quota_of("small", {"requests.cpu": "100m"}), scratch=tmp_path)
    bench = await make_bench(kubernetes={"namespace": "small", "room_seconds": 5})
    result = await bench.result(await platform.open_attempt(python_step(images.demo, "pass")))
    assert code_of(result) == "environment/quota_exceeded"
    assert result.failure is not None
    assert "requests.cpu" in result.failure.message


async def test_a_quota_of_jobs_is_waited_for_like_any_other(
    cluster: Cluster,
    platform: Platform,
    images: Images,
    make_bench: MakeBench,
    make_namespace: Callable[[str], None],
    tmp_path: Path,
) -> None:
    make_namespace("jobless")
    kubernetes = {"namespace": "jobless", "room_seconds": 2}
    apply(cluster, quota_of("jobless", {"count/jobs.batch": "0"}), scratch=tmp_path)
    bench = await make_bench(kubernetes=kubernetes)

    async def is_in_force() -> bool:
        order = await platform.open_attempt(python_step(images.demo, "pass"))
        return code_of(await bench.result(order)) == "environment/quota_exceeded"

    await eventually(is_in_force)


async def test_a_step_that_runs_is_adopted_although_no_more_secrets_may_be_made(
    cluster: Cluster,
    platform: Platform,
    images: Images,
    make_bench: MakeBench,
    make_namespace: Callable[[str], None],
    tmp_path: Path,
) -> None:
    make_namespace("secretless")
    kubernetes = {"namespace": "secretless", "room_seconds": 0}
    bench = await make_bench(kubernetes=kubernetes)
    order = await platform.open_attempt(python_step(images.demo, UNTIL_GO))
    running = asyncio.create_task(bench.result(order))
    await eventually(lambda: is_in_main(bench, order))
    apply_quota(cluster, quota_of("secretless", {"count/secrets": "1"}), scratch=tmp_path)
    await bench.agent.close()
    with pytest.raises(AttemptInterrupted):
        await running
    other = await make_bench(kubernetes=kubernetes)
    adopting = asyncio.create_task(other.result(order))
    await until(lambda: other.follows_main(order))
    await let_go_on(cluster, other, order)
    assert code_of(await adopting) == "succeeded"


def quota_of(namespace: str, hard: Mapping[str, str]) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": namespace},
        "spec": {"hard": hard},
    }


async def test_what_admission_refuses_ends_at_once_with_its_words(
    cluster: Cluster,
    platform: Platform,
    images: Images,
    make_bench: MakeBench,
    make_namespace: Callable[[str], None],
    tmp_path: Path,
) -> None:
    """As OpenShift does: only uids of the namespace's own range."""
    make_namespace("ranged")
    for manifest in uid_policy("ranged"):
        apply(cluster, manifest, scratch=tmp_path)
    bench = await make_bench(kubernetes={"namespace": "ranged"})

    async def is_in_force() -> bool:
        order = await platform.open_attempt(python_step(images.demo, "pass"))
        return code_of(await bench.result(order)) == "environment/not_admitted"

    await eventually(is_in_force)


async def test_images_run_as_any_user_that_a_cluster_assigns(
    cluster: Cluster,
    platform: Platform,
    images: Images,
    make_bench: MakeBench,
    make_namespace: Callable[[str], None],
    tmp_path: Path,
) -> None:
    """Known to no image, with group 0, where no other is admitted: as OpenShift assigns them."""
    make_namespace("assigned")
    for manifest in uid_policy("assigned"):
        apply(cluster, manifest, scratch=tmp_path)
    script = "import os; open('/animus/out/uid', 'w').write(f'{os.getuid()}:{os.getgid()}')"
    bench, unassigned = [
        await make_bench(kubernetes={"namespace": "assigned", "user": user})
        for user in (ASSIGNED, USER)
    ]

    async def is_in_force() -> bool:
        order = await platform.open_attempt(python_step(images.demo, "pass"))
        return code_of(await unassigned.result(order)) == "environment/not_admitted"

    await eventually(is_in_force)
    order = await platform.open_attempt(python_step(images.demo, script, outputs=["uid"]))
    result = await bench.result(order)
    assert code_of(result) == "succeeded", result.failure
    assert await platform.read_object(result.outputs[0].sha256) == f"{ASSIGNED}:0".encode()


ASSIGNED = 1_000_650_000


def uid_policy(namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """An admission policy that refuses uids outside the namespace's range."""
    user = "object.spec.?securityContext.?runAsUser"
    pods = {
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
    }  # fmt: skip
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": f"uids-{namespace}"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [pods]},
            "validations": [
                {
                    "expression": f"{user}.orValue({ASSIGNED}) >= {ASSIGNED}",
                    "message": "uid out of range",
                }
            ],
        },
    }
    named = {"kubernetes.io/metadata.name": namespace}
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": f"uids-{namespace}"},
        "spec": {
            "policyName": f"uids-{namespace}",
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": named}},
        },
    }
    return policy, binding
