"""What a review is written from: what is recorded when a gate opens, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from animus.domain.access import PrincipalKind
from animus.domain.plan_items import PlanContent
from animus.domain.plans import ExecutionPlan
from animus.domain.policy_evaluation import PolicyInForce
from animus.domain.runs import RunState
from animus.domain.verdicts import GateRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who acts, by the name and the words that are kept of it."""

    name: str
    display_name: str
    kind: PrincipalKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The gate, and the run that waits at it."""

    project_id: UUID
    project: str
    run_id: UUID
    run: str
    gate_id: UUID
    rule: GateRule
    generation: int
    asked_at: datetime
    """When the run was submitted."""
    opened_at: datetime
    deadline: datetime
    requester: Account
    person: Account
    """Who answers for the requester."""
    reason: str
    ticket: str
    trigger: Mapping[str, str]
    """What started it, as the client claims: pipeline, job, actor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundData:
    """A dataset version behind an alias."""

    dataset: str
    version: int
    digest: str
    files: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedPlan:
    """The plan of this pipeline that was approved last, in this project."""

    run_id: UUID
    run: str
    generation: int
    plan_digest: bytes
    content: PlanContent
    approved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Its last point."""

    name: str
    step: str
    step_number: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A development run of the same content."""

    run_id: UUID
    run: str
    state: RunState
    ended_at: datetime | None
    metrics: Sequence[Metric]
    has_more_metrics: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    by_state: Mapping[RunState, int]
    """How many there are."""
    newest: Sequence[Trial]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFacts:
    asked: Asked
    plan: ExecutionPlan
    content: PlanContent
    """The plan with what is known of the content that it names, as far as it is compared."""
    policies: Sequence[PolicyInForce]
    data: Mapping[str, BoundData]
    """By alias."""
    before: ApprovedPlan | None
    trials: Trials
    start_within: timedelta
    """After the last decision, if there is room."""
    wait_at_most: timedelta
    """In the queue, if there is none."""
