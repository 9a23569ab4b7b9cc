"""What a run of a plan needs: the most that it may have at once, which it is let in with whole."""

from __future__ import annotations

from animus.domain.canonical import MAX_SAFE_INTEGER
from animus.domain.peaks import highest_sums
from animus.domain.plans import PlanBody, positions_of
from animus.domain.quotas import CPU, DEFAULT_GPU, MEMORY, RUNS, STORAGE


def peak_of(body: PlanBody) -> dict[str, int]:
    """The most that a run of this plan may have at once, of each resource; and that it is one.

    No more than canonical bytes can hold: no cluster has so much, whatever a pipeline asks for.
    """
    weights: dict[str, list[int]] = {}
    for position, step in enumerate(body.steps):
        asked = step.spec.resources
        amounts = asked.amounts()
        needs = {CPU: amounts.millicores, MEMORY: amounts.memory, STORAGE: amounts.storage}
        needs |= {asked.gpuResource or DEFAULT_GPU: amounts.gpus} if amounts.gpus else {}
        for resource, amount in needs.items():
            weights.setdefault(resource, [0] * len(body.steps))[position] = amount
    sums = highest_sums(positions_of(body.steps), weights)
    return {resource: min(most, MAX_SAFE_INTEGER) for resource, most in sums.items()} | {RUNS: 1}
