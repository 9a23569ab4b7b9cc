"""One order for everything that is unordered, so that declaration order never shows in bytes."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from animus.domain.pipelines import Graph, Inputs, Outputs, PipelineSpec, Step


def topological_order(needs: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Kahn's algorithm; among the ready the lexicographically first. `needs` has no cycle."""
    waiting = {name: len(before) for name, before in needs.items()}
    dependents: dict[str, list[str]] = {name: [] for name in needs}
    for name, before in needs.items():
        for other in before:
            dependents[other].append(name)
    ready = [name for name, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    order: list[str] = []
    while ready:
        name = heapq.heappop(ready)
        order.append(name)
        for dependent in dependents[name]:
            waiting[dependent] -= 1
            if waiting[dependent] == 0:
                heapq.heappush(ready, dependent)
    return tuple(order)


def in_normal_order(pipeline: PipelineSpec) -> PipelineSpec:
    """Steps in topological order, every list that has no meaning of order sorted by name."""
    order = topological_order(pipeline.dependencies_of())
    steps = {step.name: step for step in pipeline.spec.steps}
    edges = sorted(pipeline.spec.dependencies, key=lambda edge: (edge.from_, edge.to))
    graph = Graph.model_construct(
        steps=tuple(_step_in_order(steps[name]) for name in order), dependencies=tuple(edges)
    )
    return pipeline.model_copy(update={"spec": graph})


def _step_in_order(step: Step) -> Step:
    return step.model_copy(
        update={
            "inputs": Inputs.model_construct(
                datasets=tuple(sorted(step.inputs.datasets, key=lambda i: i.name)),
                artifacts=tuple(sorted(step.inputs.artifacts, key=lambda i: i.name)),
            ),
            "outputs": Outputs.model_construct(
                artifacts=tuple(sorted(step.outputs.artifacts, key=lambda o: o.name))
            ),
            "env": tuple(sorted(step.env, key=lambda v: v.name)),
            "egress": tuple(sorted(set(step.egress), key=lambda r: (r.host, r.port))),
            "secrets": tuple(sorted(step.secrets, key=lambda s: s.name)),
        }
    )
