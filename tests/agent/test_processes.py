"""`animusd agent` itself: on a real Temporal, ended and killed under way, with no way to data."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from animus.adapters.container.forwarders import forwarding, upstream_of
from animus.contracts.execution import ExecutionActivities, agent_queue
from animus.contracts.runs import SignedAnswer, SignedOrder
from deploy.embedded.configuration import agent_namespace
from deploy.embedded.settings_files import Section, to_toml
from deploy.embedded.stack import Stack
from deploy.embedded.temporal_namespace import register_namespaces
from tests.agent.agents import CHECKOUT, Bench, read_result, until
from tests.agent.conftest import CLUSTERS, Images, MakeAgent
from tests.agent.platforms import Order, Platform
from tests.agent.steps import UNTIL_GO, python_step
from tests.agent.test_adoption import COUNT, told
from tests.agent.test_orders import signed_order
from tests.support.temporal import access_of, as_operator

FOREIGN = ("psycopg", "sqlalchemy", "sqlmodel", "alembic", "minio", "fastapi", "kubernetes",
           "animus.store", "animus.services", "animus_sdk", "deploy")  # fmt: skip
QUEUE = "agent-process-tests"


@workflow.defn(name="tests.execute-order")
class ExecuteOrder:
    """As a run's workflow asks an agent, but sooner missing one that is lost."""

    @workflow.run
    async def run(self, order: SignedOrder, queue: str) -> SignedAnswer:
        return await workflow.execute_activity_method(
            ExecutionActivities.execute_attempt,
            order,
            task_queue=queue,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(seconds=6),
        )


@pytest.fixture(scope="module")
async def temporal(stack: Stack, runtime: str) -> AsyncIterator[Client]:
    stack.start(["temporal"])
    address, token = stack.site.addresses.temporal, access_of(stack).for_operator()
    await register_namespaces(address, CLUSTERS[runtime], token=token)
    client = await as_operator(stack, agent_namespace(CLUSTERS[runtime]))
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[ExecuteOrder],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield client


class AgentProcess:
    """The real program, on a network from which the database can't be reached."""

    def __init__(self, bench: Bench, stack: Stack, folder: Path) -> None:
        self.ready = folder / "ready"
        self._settings = folder / "agent.toml"
        self._log = folder / "agent.log"
        self._relays = folder / "relays"
        section = bench.section.model_dump(mode="json", exclude_none=True)
        token = folder / "temporal.token"
        token.write_text(access_of(stack).for_agent(bench.section.cluster))
        temporal: Section = {
            "address": stack.site.addresses.temporal,
            "namespace": agent_namespace(bench.section.cluster),
            "token_file": str(token),
        }
        self._settings.write_text(
            to_toml({"temporal": temporal, "agent": section | {"ready_file": str(self.ready)}})
        )
        addresses = stack.site.addresses
        urls = (addresses.api, addresses.object_store_public, f"http://{addresses.temporal}")
        self._relays.mkdir()
        self.upstreams = {self._relays / str(up.port): up for up in map(upstream_of, urls)}

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        self.ready.write_text("")
        relays = {path.name: str(path) for path in self.upstreams}
        command = [
            *("unshare", "--net", "--", sys.executable, "-m", "tests.agent.island"),
            *(json.dumps(relays), "--", sys.executable, "-m", "animusd", "agent"),
            *("--settings", str(self._settings)),
        ]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, cwd=CHECKOUT, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    async def until_ready(self, process: subprocess.Popen[bytes]) -> None:
        await until(lambda: self.ready.read_text() == str(process.pid))

    def has_reached_main(self, *, times: int) -> bool:
        return self._log.read_text().count('"phase": "main"') >= times


async def test_an_order_is_executed_through_the_ends_of_two_agents_without_a_database(
    platform: Platform,
    stack: Stack,
    temporal: Client,
    bench: Bench,
    images: Images,
    tmp_path: Path,
) -> None:
    script = f"{COUNT}\n{UNTIL_GO}"
    step = python_step(images.demo, script, outputs=["count"], timeout=600)
    order = await platform.open_attempt(step)
    program = AgentProcess(bench, stack, tmp_path)
    async with forwarding(program.upstreams):
        asked = await temporal.start_workflow(
            ExecuteOrder.run,
            args=[
                signed_order(order.order, order.signature),
                agent_queue(bench.section.cluster, bench.section.host),
            ],
            id=f"execute-{uuid4()}",
            task_queue=QUEUE,
        )
        with program.running() as first:
            await until(lambda: bench.has_said(order, "begun"))
            check_has_no_database(first, stack)
            first.send_signal(signal.SIGTERM)
            await until(lambda: first.poll() is not None)
            assert first.returncode == 0
        assert bench.processes(order), "who is told to end leaves main running"
        with program.running() as second:
            await program.until_ready(second)
            await until(lambda: program.has_reached_main(times=2))
            second.kill()
        assert bench.processes(order), "who is killed leaves main running"
        bench.let_go_on(order)
        with program.running():
            answer = await asked.result()
    result = await answer_of(platform, order, answer)
    assert result == "succeeded: x"


def check_has_no_database(process: subprocess.Popen[bytes], stack: Stack) -> None:
    """Neither a route to it, nor anything loaded that could speak to it."""
    port = stack.site.addresses.postgres.rpartition(":")[2]
    api = stack.site.addresses.api.rpartition(":")[2]
    assert not reaches(process, port)
    assert reaches(process, api)
    loaded = Path(f"/proc/{process.pid}/maps").read_text()
    assert "libpq" not in loaded
    assert "psycopg" not in loaded


def reaches(process: subprocess.Popen[bytes], port: str) -> bool:
    connect = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
    command = ["nsenter", "--net", "--target", str(process.pid), sys.executable, "-c", connect]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


async def answer_of(platform: Platform, order: Order, answer: SignedAnswer) -> str:
    document, signature = b64decode(answer.document), b64decode(answer.signature)
    closed = await platform.close_attempt(order, document, signature)
    result = read_result(document)
    assert closed.outcome == result.outcome
    return await told(platform, result)


def test_the_agent_loads_nothing_of_the_control_plane() -> None:
    """Not even what it never uses: its machine need not have it."""
    script = "import sys, animusd.agent_process; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, check=True, text=True
    )
    loaded = done.stdout.split()
    assert "animus.agent.execution" in loaded
    assert not [name for name in loaded if name.startswith(FOREIGN)]


def test_a_second_agent_on_one_state_does_not_start(
    stack: Stack, bench: Bench, tmp_path: Path
) -> None:
    program = AgentProcess(bench, stack, tmp_path)
    with (bench.section.state_dir / "agent.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with program.running() as process:
            assert process.wait(30) == 1
    assert "Another agent runs" in (tmp_path / "agent.log").read_text()


@pytest.mark.parametrize("runtime", ["runc"], indirect=True, scope="module")
async def test_a_noop_agent_verifies_and_claims_and_runs_nothing(
    platform: Platform, make_agent: MakeAgent, images: Images
) -> None:
    bench = make_agent(executor="noop")
    order = await platform.open_attempt(python_step(images.demo, "raise SystemExit(1)"))
    signed = await bench.execute(order)
    assert read_result(signed.document).outcome == "succeeded"
    closed = await platform.close_attempt(order, signed.document, signed.signature)
    assert closed.outcome == "succeeded"
    assert await bench.execute(order) == signed
    assert not bench.processes(order)
