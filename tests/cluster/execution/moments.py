"""Moments in an attempt's life on a cluster, at which something is killed or asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from animus.adapters.kubernetes.manifests import FETCH, MAIN
from tests.agent.platforms import Order
from tests.cluster.execution.benches import ClusterBench

Moment = Callable[[ClusterBench, Order], Awaitable[bool]]


async def is_claimed(bench: ClusterBench, order: Order) -> bool:
    return bench.has_fact(order, "received")


async def has_job(bench: ClusterBench, order: Order) -> bool:
    return await bench.job(order) is not None


async def is_fetching(bench: ClusterBench, order: Order) -> bool:
    pod = await bench.pod(order)
    fetch = pod.container(FETCH) if pod is not None else None
    return fetch is not None and (fetch.is_running or fetch.has_ended)


async def is_in_main(bench: ClusterBench, order: Order) -> bool:
    pod = await bench.pod(order)
    return pod is not None and pod.container(MAIN).is_running


async def is_collecting(bench: ClusterBench, order: Order) -> bool:
    pod = await bench.pod(order)
    return pod is not None and pod.container(MAIN).has_ended


async def has_ended(bench: ClusterBench, order: Order) -> bool:
    pod = await bench.pod(order)
    return pod is not None and pod.has_ended


async def is_answered(bench: ClusterBench, order: Order) -> bool:
    return bench.has_fact(order, "result")


MOMENTS: Mapping[str, Moment] = {
    "before the claim": is_claimed,
    "when the Job is there": has_job,
    "in fetch": is_fetching,
    "in main": is_in_main,
    "in collect": is_collecting,
    "when the pod has ended": has_ended,
    "after the answer": is_answered,
}
