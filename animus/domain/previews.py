"""What a plan means before it runs: waves, worst cases, peaks, what is missing. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from animus.domain.peaks import highest_sums
from animus.domain.plans import PlanBody, PlannedStep, positions_of
from animus.domain.resources import Amounts
from animus.domain.retries import worst_case_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    order: tuple[str, ...]
    waves: tuple[tuple[str, ...], ...]
    """Steps that may run side by side, if each wave waits for the one before."""
    widest: int
    worst_case_attempts: int
    worst_case_seconds: float
    """Along the slowest path, if every attempt runs into its timeout."""
    peak: Amounts
    """The most that steps which may run side by side need together, of each kind of resource."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Something a run needs that the server does not have yet."""

    what: str
    name: str
    todo: str


def simulate(body: PlanBody) -> Simulation:
    waves = _waves(body.steps)
    return Simulation(
        order=tuple(step.name for step in body.steps),
        waves=tuple(tuple(step.name for step in wave) for wave in waves),
        widest=max(len(wave) for wave in waves),
        worst_case_attempts=sum(step.spec.retryPolicy.maxAttempts for step in body.steps),
        worst_case_seconds=_slowest_path(body.steps),
        peak=_peak(body.steps),
    )


def _waves(steps: Sequence[PlannedStep]) -> list[list[PlannedStep]]:
    depth: dict[str, int] = {}
    waves: list[list[PlannedStep]] = []
    for step in steps:
        depth[step.name] = 1 + max((depth[before] for before in step.after), default=-1)
        if depth[step.name] == len(waves):
            waves.append([])
        waves[depth[step.name]].append(step)
    return waves


def _slowest_path(steps: Sequence[PlannedStep]) -> float:
    done: dict[str, float] = {}
    for step in steps:
        own = worst_case_seconds(step.spec.retryPolicy, timeout_seconds=step.spec.timeoutSeconds)
        done[step.name] = own + max((done[before] for before in step.after), default=0.0)
    return max(done.values())


def _peak(steps: Sequence[PlannedStep]) -> Amounts:
    amounts = [step.spec.resources.amounts() for step in steps]
    kinds = [field.name for field in fields(Amounts)]
    return Amounts(
        **highest_sums(
            positions_of(steps), {kind: [getattr(one, kind) for one in amounts] for kind in kinds}
        )
    )
