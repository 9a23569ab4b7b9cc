"""A step's secrets on a real node: from a namespace that only the agent reads, to main alone."""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import orjson
import pytest

from animus.adapters.kubernetes.names import step_secret_name
from animus.adapters.steps.logs import WITHHELD
from animus.domain.canonical import JsonObject
from animus.domain.runs import FailureClass
from deploy.dev_cluster.clusters import Cluster
from deploy.embedded.stack import Stack
from deploy.kubernetes.rendering import ACCOUNT
from deploy.local.clusters import AGENT_NAMESPACE, NAMESPACE
from deploy.programs import CommandFailed
from tests.agent.agents import Driver, read_result, until
from tests.agent.conftest import Images
from tests.agent.platforms import Platform
from tests.agent.steps import python_step
from tests.cluster.execution.benches import UNTIL_GO, ClusterBench, eventually, let_go_on, name_of
from tests.cluster.execution.conftest import MakeBench
from tests.support.canaries import Canary, databases_with, files_with
from tests.support.secret_files import SecretFile

pytestmark = pytest.mark.cluster

KEPT_IN, CLOSED = "animus-secrets", "animus-closed"
TELL = """
import base64, os, pathlib, sys, urllib.parse
file = pathlib.Path('/animus/secrets/password')
value = file.read_text()
print('open:', os.environ['OPEN'], 'hidden:', value, flush=True)
print(base64.b64encode(value.encode()).decode(), urllib.parse.quote(value), flush=True)
print(value, file=sys.stderr, flush=True)
pathlib.Path('/dev/termination-log').write_text(value)
print('mode', oct(file.stat().st_mode & 0o777), any(value in each for each in os.environ.values()))
"""
STAY = "print('begun', flush=True)\n" + UNTIL_GO + TELL
"""Tells it while another agent watches."""
ENDS = {"succeeds": "", "fails": "sys.exit(value)"}

MakeSecretiveBench = Callable[[str], Awaitable[ClusterBench]]


@pytest.fixture(scope="module")
def kept(cluster: Cluster, kubeconfig: Path) -> Iterator[None]:
    """Two namespaces of secrets; in one of them the agent has the one right that it needs."""
    for namespace in (KEPT_IN, CLOSED):
        cluster.kubectl("create", "namespace", namespace)
    here = ("--namespace", KEPT_IN)
    cluster.kubectl("create", "role", "reads", *here, "--verb=get", "--resource=secrets")
    account = f"--serviceaccount={AGENT_NAMESPACE}:{ACCOUNT}"
    cluster.kubectl("create", "rolebinding", "reads", *here, "--role=reads", account)
    yield
    cluster.kubectl("delete", "namespace", KEPT_IN, CLOSED, "--wait=false")


@pytest.fixture
def value(cluster: Cluster, kept: None, platform: Platform) -> Iterator[str]:
    """The project's secret `databases/warehouse`, in both namespaces."""
    value = f"{secrets.token_hex(16)}/+{secrets.token_hex(8)}"
    name = f"{platform.project_id}.databases"
    literal = f"--from-literal=warehouse={value}"
    for namespace in (KEPT_IN, CLOSED):
        cluster.kubectl("create", "secret", "generic", name, "--namespace", namespace, literal)
    yield value
    for namespace in (KEPT_IN, CLOSED):
        cluster.kubectl("delete", "secret", name, "--namespace", namespace)


@pytest.fixture
def make_secretive_bench(make_bench: MakeBench, kubeconfig: Path) -> MakeSecretiveBench:
    async def make(namespace: str) -> ClusterBench:
        told = {"kubernetes": {"namespace": namespace, "kubeconfig": kubeconfig}}
        return await make_bench(secrets=told)

    return make


def secretive(images: Images, script: str, word: str) -> JsonObject:
    references = [{"name": "password", "secretRef": "databases/warehouse"}]
    return python_step(images.demo, script, env={"OPEN": word}, secrets=references)


def seen_in(cluster: Cluster) -> bytes:
    """All that whoever may look at Jobs and pods is shown."""
    listed = cluster.kubectl("get", "jobs,pods,events", "--namespace", NAMESPACE, "-o", "json")
    found = orjson.loads(listed)
    for item in found["items"]:  # what a container writes there is its own word
        for state in item.get("status", {}).get("containerStatuses", []):
            state.get("state", {}).get("terminated", {}).pop("message", None)
    return orjson.dumps(found)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
async def test_a_secret_reaches_main_and_nothing_that_is_kept(
    platform: Platform, images: Images, make_secretive_bench: MakeSecretiveBench,
    cluster: Cluster, stack: Stack, value: str, end: str,
) -> None:  # fmt: skip
    bench, word = await make_secretive_bench(KEPT_IN), f"open-{secrets.token_hex(8)}"
    hidden, shown = Canary(value.encode()), Canary(word.encode())
    order = await platform.open_attempt(secretive(images, TELL + end, word))
    signed = await bench.execute(order)
    result = read_result(signed.document)
    assert (result.failure is None) == (not end)
    assert not hidden.is_in(signed.document)
    log = await platform.read_log(result)
    assert "mode 0o440 False" in log
    assert (log.count("[redacted]"), word in log) == (4 + bool(end), True)
    assert not hidden.is_in(log.encode())
    objects = seen_in(cluster)
    assert (shown.is_in(objects), hidden.is_in(objects)) == (True, False)
    await platform.close_attempt(order, signed.document, signed.signature)
    await bench.agent.release()
    assert await bench.left(order.attempt_id) == []
    name = step_secret_name(name_of(order))
    with pytest.raises(CommandFailed, match="not found"):
        cluster.kubectl("get", "secret", name, "--namespace", NAMESPACE)
    url = stack.site.addresses.superuser_url(stack.site.credentials)
    assert "animus" in databases_with(shown, url)
    assert databases_with(hidden, url) == []
    assert any("objects" in file.parts for file in files_with(shown, stack.layout.state))
    for folder in (stack.layout.state, bench.section.state_dir, cluster.config.state / "logs"):
        assert folder.is_dir()
        assert files_with(hidden, folder) == []


async def test_a_namespace_that_the_agent_may_not_read_is_named(
    platform: Platform, images: Images, make_secretive_bench: MakeSecretiveBench, value: str
) -> None:
    bench = await make_secretive_bench(CLOSED)
    result = await bench.result(await platform.open_attempt(secretive(images, TELL, "x")))
    assert result.failure is not None
    assert (result.failure.failure_class, result.failure.code) == (
        FailureClass.ENVIRONMENT, "secret_denied",
    )  # fmt: skip
    assert CLOSED in result.failure.message
    assert result.started_at is None


@pytest.mark.parametrize("then", ["kept", "rotated", "removed"])
async def test_an_agent_that_adopts_a_job_hides_what_main_says_from_then_on(
    cluster: Cluster, platform: Platform, images: Images, make_bench: MakeBench, tmp_path: Path,
    then: str,
) -> None:  # fmt: skip
    """Where the store has the value no more, all that main says from then on is left out."""
    file, value = SecretFile.make(tmp_path), secrets.token_hex(16)
    file.put(platform.project_id, **{"databases/warehouse": value})
    bench = await make_bench(secrets=file.settings)
    order = await platform.open_attempt(secretive(images, STAY, "x"))
    driver = Driver.start(bench.section, order, scratch=tmp_path)
    try:
        await bench.until_running(order, "main")

        async def has_been_followed() -> bool:
            folder = bench.section.state_dir / "attempts" / str(order.attempt_id) / "log"
            return any(b"begun" in each.read_bytes() for each in folder.glob("*"))

        await eventually(has_been_followed)
    finally:
        driver.kill()
    match then:
        case "rotated":
            file.put(platform.project_id, **{"databases/warehouse": secrets.token_hex(16)})
        case "removed":
            file.remove(platform.project_id, "databases/warehouse")
    adopting = asyncio.create_task(bench.result(order))
    await until(lambda: bench.follows_main(order))
    await let_go_on(cluster, bench, order)
    result = await adopting
    assert result.failure is None
    assert result.log is not None
    log = await platform.read_log(result)
    assert log.count("begun") == 1
    assert result.log.truncated is (then != "kept")
    assert ("hidden: [redacted]" in log, WITHHELD in log) == (then == "kept", then != "kept")
    assert not Canary(value.encode()).is_in(log.encode())
    assert b64encode(value.encode()).decode() not in log
