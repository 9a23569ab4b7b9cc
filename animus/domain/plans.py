"""ExecutionPlan: the deterministic DAG that people approve by its digest and that is executed.

`draft` makes the body from the RunSpec and resolved facts; `policies.evaluate` judges the body;
`seal` puts both together. Content only: no id, no time, no requester, nothing secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from animus.domain.canonical import canonical_bytes
from animus.domain.code_refs import CodeRef, CodeState
from animus.domain.digests import Digest, digest_of_canonical
from animus.domain.documents import DigestText, Document, Name, SparseDocument
from animus.domain.environment_locks import EnvironmentLock
from animus.domain.limitations import Limitation, LimitationCode
from animus.domain.pipelines import PipelineSpec, Step
from animus.domain.placements import SHARE_THE_KERNEL, Placement
from animus.domain.quotas import UNLIMITED, Ceilings
from animus.domain.run_specs import MAX_DATASETS, Classification, DatasetBinding, RunSpec
from animus.domain.verdicts import GateRule, Verdict

TAG = "animus.plan/v1"


class Execution(Document):
    """Which kind of executor, and what stands between the step and the host's kernel."""

    executor: Literal["container", "kubernetes", "noop"]
    runtime: Name

    @property
    def sandbox(self) -> str | None:
        """The runtime, where it is one that keeps a step off the host's kernel."""
        runs_nothing = self.executor == "noop"
        return None if runs_nothing or self.runtime in SHARE_THE_KERNEL else self.runtime


class PlannedStep(Document):
    after: tuple[Name, ...]
    """Steps that must have succeeded before, sorted."""
    spec: Step

    @property
    def name(self) -> str:
        return self.spec.name


def positions_of(steps: Sequence[PlannedStep]) -> list[list[int]]:
    """For each step the positions of those that it waits for."""
    places = {step.name: position for position, step in enumerate(steps)}
    return [[places[before] for before in step.after] for step in steps]


class PlanBody(SparseDocument):
    """What policies see. Steps are in topological order, ties broken by name."""

    classification: Classification
    pipeline: Name
    execution: Execution
    code: CodeRef | None = None
    environment_lock: DigestText | None = None
    placement: Placement | None = None
    """What the lock asks of a cluster; where the executor is none, limitations say so."""
    datasets: Annotated[tuple[DatasetBinding, ...], Field(max_length=MAX_DATASETS)]
    parameters: dict[str, Any]
    steps: Annotated[tuple[PlannedStep, ...], Field(min_length=1)]
    limitations: tuple[Limitation, ...]

    @property
    def switches_egress(self) -> bool:
        """Whether it promises that main has not the network of fetch and collect."""
        is_shared = any(one.code is LimitationCode.EGRESS_SHARED for one in self.limitations)
        return self.execution.executor == "kubernetes" and not is_shared


class PlanDocument(Document):
    schema_: Annotated[Literal["animus.plan/v1"], Field(alias="schema")] = "animus.plan/v1"
    body: PlanBody
    verdict: Verdict
    gates: tuple[GateRule, ...]
    policies: tuple[DigestText, ...]
    """Digests of the policy versions in force, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionPlan:
    """A sealed plan: the document, the bytes that were hashed, and their digest."""

    document: PlanDocument
    canonical: bytes
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a plan needs beyond its RunSpec, resolved by whoever can: services, or preview."""

    pipeline: PipelineSpec
    lock: EnvironmentLock | None
    execution: Execution
    """As the cluster is registered."""
    gives_secrets: bool = False
    """Whether the cluster's agent has a secret store. No part of the body: a plan's digest need not
    change with it, but the verdict does."""
    switches_egress: bool = False
    """Whether the cluster takes fetch's network away before main. Where not, the body says so."""
    ceilings: Ceilings = UNLIMITED

    @property
    def placement(self) -> Placement | None:
        return self.lock.placement.ordered() if self.lock and self.lock.placement else None

    @property
    def planned_execution(self) -> Execution:
        """Under the sandbox that the environment names, where the executor has RuntimeClasses."""
        named = self.placement.runtime_class if self.placement is not None else None
        if named is None or self.execution.executor != "kubernetes":
            return self.execution
        return self.execution.model_copy(update={"runtime": named})


def draft(spec: RunSpec, facts: Facts) -> PlanBody:
    needs = facts.pipeline.dependencies_of()
    return PlanBody(
        classification=spec.classification,
        pipeline=facts.pipeline.metadata.name,
        execution=facts.planned_execution,
        code=spec.code,
        environment_lock=spec.environment_lock,
        placement=facts.placement,
        datasets=tuple(sorted(spec.datasets, key=lambda binding: binding.alias)),
        parameters=spec.parameters,
        steps=tuple(
            PlannedStep.model_construct(after=tuple(sorted(needs[step.name])), spec=step)
            for step in facts.pipeline.spec.steps
        ),
        limitations=tuple(
            sorted(set(_limitations(spec, facts)), key=lambda one: (one.code, one.subject))
        ),
    )


def seal(body: PlanBody, verdict: Verdict, policies: tuple[str, ...]) -> ExecutionPlan:
    """`policies` are the digests of every policy version that was asked."""
    document = PlanDocument.model_construct(
        schema_="animus.plan/v1",
        body=body,
        verdict=verdict,
        gates=verdict.gates,
        policies=tuple(sorted(policies)),
    )
    canonical = canonical_bytes(document.content())
    return ExecutionPlan(
        document=document, canonical=canonical, digest=digest_of_canonical(TAG, canonical)
    )


def _limitations(spec: RunSpec, facts: Facts) -> Iterator[Limitation]:
    yield from _code_limitations(spec.code)
    if facts.lock is None:
        yield Limitation(code=LimitationCode.ENVIRONMENT_UNLOCKED)
    elif not facts.lock.packages:
        yield Limitation(code=LimitationCode.PACKAGES_UNLOCKED)
    if not spec.datasets:
        yield Limitation(code=LimitationCode.DATASET_MISSING)
    yield from _execution_limitations(facts)


def _code_limitations(code: CodeRef | None) -> Iterator[Limitation]:
    if code is None:
        yield Limitation(code=LimitationCode.CODE_MISSING)
        return
    if code.pack_sha256 is None:
        yield Limitation(code=LimitationCode.CODE_IN_IMAGE)
    if code.state is CodeState.CLAIMED:
        yield Limitation(code=LimitationCode.CODE_CLAIMED)
    elif code.state is CodeState.UNCOMMITTED:
        yield Limitation(code=LimitationCode.CODE_UNCOMMITTED)
    for limitation in code.limitations:
        yield Limitation(code=LimitationCode(limitation.code), subject=limitation.subject)


def _execution_limitations(facts: Facts) -> Iterator[Limitation]:
    execution = facts.planned_execution
    if execution.executor == "container":
        yield Limitation(code=LimitationCode.CONTAINER_EXECUTOR)
    if execution.executor == "kubernetes":
        if not facts.switches_egress:
            yield Limitation(code=LimitationCode.EGRESS_SHARED)
    elif facts.placement is not None:
        for part in facts.placement.said:
            yield Limitation(code=LimitationCode.PLACEMENT_IGNORED, subject=part)
    if execution.runtime in SHARE_THE_KERNEL:
        yield Limitation(code=LimitationCode.RUNTIME_RUNC)
    for step in facts.pipeline.spec.steps:
        yield from _step_limitations(step, facts)


def _step_limitations(step: Step, facts: Facts) -> Iterator[Limitation]:
    executor = facts.execution.executor
    if step.egress and executor == "container":
        yield Limitation(code=LimitationCode.EGRESS_UNFILTERED, subject=step.name)
    if step.egress and executor == "kubernetes" and facts.switches_egress:
        yield Limitation(code=LimitationCode.EGRESS_BY_ADDRESS, subject=step.name)
    if step.telemetry:
        yield Limitation(code=LimitationCode.TELEMETRY_NETWORK, subject=step.name)
