"""Many steps in flight at once: a real agent, a real control plane, nodes that are simulated."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from animus.adapters.kubernetes.executor import JobFact
from animus.adapters.kubernetes.names import CLUSTER
from animusd.settings import AgentSection
from deploy.dev_cluster.clusters import Cluster
from deploy.dev_cluster.simulations import Simulated, simulated_nodes
from deploy.embedded.console import Console
from deploy.local.clusters import NAMESPACE
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step
from tests.bench.cluster.agents import LONGEST_LINE, READY
from tests.bench.cluster.kubelets import Logs, serve_logs
from tests.bench.cluster.places import Place
from tests.bench.cluster.requests import Requests, count_agent_apart, read_requests
from tests.bench.figures import milliseconds

LOADS = (1, 100, 1_000, 5_000)
STEPS_IN_A_RUN = 200
DURATION = "BENCH_DURATION"
PACE = 15.0
"""Steps that a machine submits in a second, unless told: each lasts until all can be running."""
SHORTEST = 5
CLOSED_AT_ONCE = 4
GONE_WITHIN = 5_400.0
POLL = 2.0
LAST_WORDS = 60
"""Lines of an agent that ended before its time."""
KINDS = {"jobs": "/apis/batch/v1", "pods": "/api/v1", "secrets": "/api/v1"}
"""What an attempt has in a cluster, and where the api server has it."""
PAGE = 250
NODES = 100
PODS = 100
"""On each: twice as many in all as the largest load has."""
_SIMULATED = (
    "What the nodes do is KWOK's: the agent, api, object store, api server, controllers and "
    "scheduler are real; no image is pulled and no program runs, a pod's three containers change "
    "together from waiting to running and, after a given time, to ended, and the termination "
    "messages of fetch, main and collect are written by KWOK. Logs have one line; the connection "
    "of whoever follows one is held, by this benchmark, for as long as main runs."
)


async def measure_scale(
    place: Place, platform: Platform, *, loads: Sequence[int], pace: float, console: Console
) -> dict[str, Any]:
    cluster = place.cluster
    cluster.kubectl("delete", "resourcequota", "--all", "--namespace", NAMESPACE)
    count_agent_apart(cluster)
    figures: dict[str, Any] = {"simulated": _SIMULATED, "nodes": NODES}
    async with serve_logs(cluster, place.home) as logs:
        simulated = Simulated(nodes=NODES, pods=PODS, duration=DURATION, kubelets=logs.port)
        with simulated_nodes(cluster, simulated, console=console):
            for load in loads:
                logs.duration = max(SHORTEST, round(load / pace))
                figures[f"in_flight_{load}"] = await _measure(place, platform, logs, load)
                _tell(json.dumps(figures[f"in_flight_{load}"]))
    return figures


async def _measure(place: Place, platform: Platform, logs: Logs, load: int) -> dict[str, Any]:
    _tell(f"{load}: opening the attempts")
    orders = await _open(platform, place.images.demo, load, logs.duration)
    section = place.section(state_dir=place.home / f"agent-{load}", concurrency=load)
    file = place.home / f"agent-{load}.json"
    file.write_text(section.model_dump_json())
    async with _agent(file) as agent:
        memory_before = _memory(agent.pid, "VmRSS")
        before = read_requests(place.cluster)
        began = time.time()
        results = await _execute(agent, platform, orders)
        took = time.time() - began
        figures = _figures(results, _submitted(section.state_dir, began), load=load) | {
            "step_seconds": logs.duration,
            "answered_within_s": round(took, 1),
        }
        _tell(f"{load}: all are answered: {json.dumps(figures)}")
        _tell(f"{load}: waiting until nothing is left")
        await asyncio.to_thread(_wait_gone, place.cluster, section)
        gone = time.time() - began
        after = read_requests(place.cluster)
        memory = {
            "before": memory_before,
            "after": _memory(agent.pid, "VmRSS"),
            "most": _memory(agent.pid, "VmHWM"),
        }
    return figures | {
        "nothing_left_after_s": round(gone, 1),
        "agent_memory_mib": memory,
        "requests_per_step": _per_step(before, after, load),
        "objects_left": sum(_count_left(place.cluster, section).values()),
    }


async def _open(platform: Platform, image: str, load: int, duration: float) -> list[Order]:
    orders: list[Order] = []
    for begin in range(0, load, STEPS_IN_A_RUN):
        names = [f"step-{n}" for n in range(begin, min(begin + STEPS_IN_A_RUN, load))]
        steps = [
            python_step(image, "", name=name, env={DURATION: f"{duration}s"}, timeout=7_200)
            for name in names
        ]
        run_id = await platform.submit(*steps)
        orders += [await platform.open_step(run_id, name) for name in names]
    return orders


@asynccontextmanager
async def _agent(file: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Ready for orders. What it logs is in a file beside its settings, and shown if it ends."""
    said = file.with_suffix(".log")
    with said.open("wb") as log:
        agent = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.cluster.agents", str(file)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=LONGEST_LINE,
        )
    try:
        assert (await _read(agent))["event"] == READY
        yield agent
    except BaseException:
        _tell("\n".join(said.read_text(errors="replace").splitlines()[-LAST_WORDS:]))
        raise
    finally:
        with suppress(ProcessLookupError):
            agent.terminate()
        await agent.wait()


async def _execute(
    agent: asyncio.subprocess.Process, platform: Platform, orders: Sequence[Order]
) -> list[dict[str, Any]]:
    """Every attempt is answered, verified and registered, as its workflow would."""
    by_id = {str(order.attempt_id): order for order in orders}
    places = asyncio.Semaphore(CLOSED_AT_ONCE)
    results: list[dict[str, Any]] = []

    async def close(said: dict[str, Any]) -> None:
        async with places:
            closed = await platform.close_attempt(
                by_id[said["attempt_id"]], b64decode(said["document"]), b64decode(said["signature"])
            )
        assert closed.outcome == "succeeded", closed

    async with asyncio.TaskGroup() as closing:
        closing.create_task(_hand_over(agent, orders))
        while len(results) < len(orders):
            said = await _read(agent)
            results.append(said)
            closing.create_task(close(said))
            if len(results) % 100 == 0:
                _tell(f"{len(results)} of {len(orders)} are answered")
    return results


async def _hand_over(agent: asyncio.subprocess.Process, orders: Sequence[Order]) -> None:
    assert agent.stdin is not None
    for order in orders:
        line = {
            "attempt_id": str(order.attempt_id),
            "order": b64encode(order.order).decode(),
            "signature": b64encode(order.signature).decode(),
        }
        agent.stdin.write(json.dumps(line).encode() + b"\n")
        await agent.stdin.drain()


async def _read(agent: asyncio.subprocess.Process) -> dict[str, Any]:
    assert agent.stdout is not None
    line = await agent.stdout.readline()
    assert line, "the agent has ended"
    said: dict[str, Any] = json.loads(line)
    return said


def _wait_gone(cluster: Cluster, section: AgentSection) -> None:
    """Until the cluster has nothing of any attempt: the agent removes what was recorded."""
    deadline = time.monotonic() + GONE_WITHIN
    for kind in KINDS:
        while _page(cluster, section, kind, limit=1)["items"]:
            assert time.monotonic() < deadline, f"there is still {_count_left(cluster, section)}"
            time.sleep(POLL)


def _count_left(cluster: Cluster, section: AgentSection) -> dict[str, int]:
    """What the cluster has of any attempt: a kind and a page at a time, for of thousands of each
    at once kubectl takes minutes."""
    return {kind: sum(_sizes(cluster, section, kind)) for kind in KINDS}


def _sizes(cluster: Cluster, section: AgentSection, kind: str) -> Iterator[int]:
    after = ""
    while True:
        page = _page(cluster, section, kind, limit=PAGE, after=after)
        yield len(page["items"])
        after = page["metadata"].get("continue", "")
        if not after:
            return


def _page(
    cluster: Cluster, section: AgentSection, kind: str, *, limit: int, after: str = ""
) -> dict[str, Any]:
    asked = {"labelSelector": f"{CLUSTER}={section.cluster}", "limit": limit, "continue": after}
    path = f"{KINDS[kind]}/namespaces/{NAMESPACE}/{kind}?{urlencode(asked)}"
    page: dict[str, Any] = json.loads(cluster.kubectl("get", "--raw", path))
    return page


def _submitted(state: Path, began: float) -> list[float]:
    """When the agent had its Jobs' names back from the api server, in seconds."""
    noted = state.glob(f"attempts/*/journal/{JobFact.CREATED}.json")
    return sorted(file.stat().st_mtime - began for file in noted)


@dataclass(frozen=True, slots=True)
class _Span:
    begin: float
    end: float


def _figures(
    results: Sequence[dict[str, Any]], submitted: Sequence[float], *, load: int
) -> dict[str, Any]:
    timed = [each for each in results if each["ended"] is not None]
    noticed = [each["noticed"] - each["ended"] for each in timed]
    answered = [each["answered"] - each["ended"] for each in timed]
    spans = [_Span(each["running"] or each["noticed"], each["noticed"]) for each in results]
    assert len(submitted) == load, "an attempt has no Job on record"
    return {
        "most_running_at_once": _most_at_once(spans),
        "submitted_per_second": round(load / submitted[-1], 1),
        "noticed": {f"p{p}_ms": milliseconds(noticed, p) for p in (50, 99)},
        "answered": {f"p{p}_ms": milliseconds(answered, p) for p in (50, 99)},
        "end_unheard": len(results) - len(timed),
        "asked_again": sum(each["retries"] for each in results),
    }


def _most_at_once(spans: Sequence[_Span]) -> int:
    changes = [(span.begin, 1) for span in spans] + [(span.end, -1) for span in spans]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def _per_step(before: Requests, after: Requests, load: int) -> dict[str, Any]:
    of_all = {
        name: round(count / load, 2)
        for name, count in (after.of_all - before.of_all).most_common()
        if count / load >= 0.01
    }
    of_agent = round((after.of_agent - before.of_agent) / load, 2)
    return {"of_agent": of_agent, "of_all_by_verb_and_resource": of_all}


def _memory(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (kib,) = (int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
    return round(kib / 1024, 1)


def _tell(text: str) -> None:
    sys.stderr.write(f"    {text}\n")
    sys.stderr.flush()
