"""Runs and what is recorded of them up to execution: plans, verdicts, gates, decisions, endings."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlmodel import SQLModel

from animus.domain.access import Role
from animus.domain.approvals import DecisionVerdict, Meaning
from animus.domain.derived_state import GateClosing
from animus.domain.queues import Priority
from animus.domain.run_specs import Classification
from animus.domain.runs import FailureClass, RunState, WaitingFor
from animus.domain.verdicts import Effect
from animus.store.columns import (
    by_whom,
    content,
    counted,
    digest_size,
    in_project,
    key,
    moment,
    of_same_run,
    one_of,
    optional_content,
    optional_moment,
    recorded,
    within_project,
    words,
)


class Run(SQLModel, table=True):
    """The snapshot never changes; the lower half moves along the table of transitions."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint("id", "requester_person_id"),
        UniqueConstraint("project_id", "name"),
        in_project(),
        within_project("pipeline_digest", "pipelines", "digest"),
        within_project("environment_lock_id", "environment_locks"),
        within_project("source_id", "sources"),
        ForeignKeyConstraint(["cluster_id"], ["clusters.id"]),
        by_whom("requested_by", "requester_person_id"),
        one_of("classification", Classification),
        one_of("state", RunState),
        one_of("waiting_for", WaitingFor),
        one_of("priority", Priority),
        one_of("failure_class", FailureClass),
        CheckConstraint(
            "(state IN ('succeeded','failed','rejected','canceled','expired')) "
            "= (ended_at IS NOT NULL)",
            name="ended_when_terminal",
        ),
        CheckConstraint(
            "(ended_at IS NULL) = (waiting_for IS NOT NULL)", name="waits_until_it_ends"
        ),
        Index("runs_newest", "project_id", "id"),
        Index("runs_of_content", "project_id", "run_spec_digest"),
        Index("runs_of_pipeline", "project_id", "pipeline_name", "id"),
        Index("runs_of_requester", "project_id", "requested_by", "id"),
        Index(
            "runs_at_gates",
            "project_id",
            "id",
            postgresql_where=text("state = 'awaiting_approval'"),
        ),
        Index(
            "runs_ended",
            "ended_at",
            postgresql_where=text("ended_at IS NOT NULL AND classification = 'production'"),
        ),
        Index("runs_open", "deadline", postgresql_where="ended_at IS NULL"),
        Index(
            "runs_queued",
            "id",
            postgresql_where=text("waiting_for IN ('quota_exceeded', 'queue_blocked')"),
        ),
    )
    id: UUID = key()
    project_id: UUID
    name: str
    classification: str
    cluster_id: UUID
    pipeline_digest: bytes = content()
    pipeline_name: str
    run_spec: bytes = content()
    run_spec_digest: bytes = content()
    environment_lock_id: UUID | None = None
    source_id: UUID | None = None
    expected_plan_digest: bytes | None = optional_content()
    expected_plan: bytes | None = optional_content()
    """The plan that the caller saw, where it was sent along, so that drift can be explained."""
    labels: bytes = content()
    reason: str
    ticket: str
    priority: str | None = None
    """Null, from a version before there was one, is normal."""
    requested_by: UUID
    requester_person_id: UUID
    created_at: datetime = recorded()

    state: str
    state_since: datetime = recorded()
    waiting_for: str | None = None
    deadline: datetime | None = optional_moment()
    generation: int = 0
    plan_digest: bytes | None = optional_content()
    failure_class: str | None = None
    failure_code: str | None = None
    ended_at: datetime | None = optional_moment()


class RunDataset(SQLModel, table=True):
    __tablename__ = "run_datasets"
    __table_args__ = (
        within_project("run_id", "runs"),
        within_project("dataset_version_id", "dataset_versions"),
    )
    run_id: UUID = key()
    alias: str = key()
    project_id: UUID
    dataset_version_id: UUID


class RunTrigger(SQLModel, table=True):
    """What started a run, as its client said. Absent where it said nothing."""

    __tablename__ = "run_triggers"
    __table_args__ = (
        within_project("run_id", "runs"),
        CheckConstraint("octet_length(canonical) <= 16384", name="canonical_size"),
    )
    run_id: UUID = key()
    project_id: UUID
    canonical: bytes = content()


class ExecutionPlanRow(SQLModel, table=True):
    __tablename__ = "execution_plans"
    __table_args__ = (
        UniqueConstraint("run_id", "generation", "plan_digest"),
        within_project("run_id", "runs"),
        digest_size("plan_digest"),
        one_of("effect", Effect),
    )
    run_id: UUID = key()
    generation: int = key()
    project_id: UUID
    plan_digest: bytes = content()
    canonical: bytes = content()
    effect: str
    gates: int
    created_at: datetime = recorded()


class VerdictRow(SQLModel, table=True):
    """What one policy version (or the built-in rules) said of one plan."""

    __tablename__ = "verdicts"
    __table_args__ = (
        within_project("run_id", "runs"),
        within_project("policy_version_id", "policy_versions"),
        one_of("effect", Effect),
        digest_size("input_digest"),
    )
    id: UUID = key()
    project_id: UUID
    run_id: UUID
    generation: int
    policy_version_id: UUID | None = None
    effect: str
    input_digest: bytes = content()
    answers: bytes = content()
    library: str
    created_at: datetime = recorded()


class ApprovalGate(SQLModel, table=True):
    __tablename__ = "approval_gates"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint("project_id", "id", "run_id"),
        UniqueConstraint("run_id", "generation", "name"),
        UniqueConstraint("id", "run_id", "generation", "plan_digest", "requester_person_id"),
        within_project("run_id", "runs"),
        ForeignKeyConstraint(
            ["run_id", "generation", "plan_digest"],
            [
                "execution_plans.run_id",
                "execution_plans.generation",
                "execution_plans.plan_digest",
            ],
        ),
        ForeignKeyConstraint(
            ["run_id", "requester_person_id"], ["runs.id", "runs.requester_person_id"]
        ),
        one_of("role", Role),
        Index("approval_gates_by_deadline", "project_id", "deadline", "id"),
        CheckConstraint("quorum >= 1", name="quorum_positive"),
        CheckConstraint("deadline > opened_at", name="deadline_later"),
    )
    id: UUID = key()
    project_id: UUID
    run_id: UUID
    generation: int
    plan_digest: bytes = content()
    requester_person_id: UUID
    name: str
    role: str
    quorum: int
    rule: bytes = content()
    opened_at: datetime = recorded()
    deadline: datetime = moment()


class GateClosure(SQLModel, table=True):
    """In force unless a withdrawal says that it reopens the gate; closed again, it is the next."""

    __tablename__ = "gate_closures"
    __table_args__ = (
        of_same_run("gate_id", "approval_gates"),
        one_of("closing", GateClosing),
        CheckConstraint("number >= 1", name="number_positive"),
        Index("gate_closures_newest", "closed_at"),
    )
    gate_id: UUID = key()
    number: int = counted(is_key=True)
    project_id: UUID
    run_id: UUID
    closing: str
    closed_at: datetime = recorded()


class GateReview(SQLModel, table=True):
    """What people are shown at a gate, as it was frozen when the gate opened. Gates of versions
    before this one have none."""

    __tablename__ = "gate_reviews"
    __table_args__ = (
        of_same_run("gate_id", "approval_gates"),
        UniqueConstraint("project_id", "gate_id", "digest"),
        Index("gate_reviews_of_run", "run_id"),
        Index("gate_reviews_of_pipeline", "project_id", "pipeline_name"),
        digest_size("digest"),
    )
    gate_id: UUID = key()
    project_id: UUID
    run_id: UUID
    pipeline_name: str
    digest: bytes = content()
    canonical: bytes = content()
    created_at: datetime = recorded()


class Decision(SQLModel, table=True):
    """Bound to gate, generation, run and plan digest, and to the review that was read; never by
    the requester's person."""

    __tablename__ = "decisions"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint("id", "gate_id", "run_id", "person_id"),
        UniqueConstraint("gate_id", "person_id", "number"),
        within_project("gate_id", "approval_gates"),
        ForeignKeyConstraint(
            ["gate_id", "run_id", "generation", "plan_digest", "requester_person_id"],
            [
                "approval_gates.id",
                "approval_gates.run_id",
                "approval_gates.generation",
                "approval_gates.plan_digest",
                "approval_gates.requester_person_id",
            ],
        ),
        ForeignKeyConstraint(
            ["project_id", "gate_id", "review_digest"],
            ["gate_reviews.project_id", "gate_reviews.gate_id", "gate_reviews.digest"],
        ),
        by_whom("principal_id", "person_id"),
        ForeignKeyConstraint(
            ["project_id", "delegation_id", "in_place_of", "person_id"],
            [
                "delegations.project_id",
                "delegations.id",
                "delegations.delegator_id",
                "delegations.delegate_id",
            ],
        ),
        CheckConstraint(
            "(delegation_id IS NULL) = (in_place_of IS NULL)", name="in_place_by_delegation"
        ),
        CheckConstraint("in_place_of <> requester_person_id", name="a_second_person"),
        one_of("verdict", DecisionVerdict),
        one_of("meaning", Meaning),
        CheckConstraint("person_id <> requester_person_id", name="four_eyes"),
        CheckConstraint("number >= 1", name="number_positive"),
    )
    id: UUID = key()
    project_id: UUID
    gate_id: UUID
    run_id: UUID
    generation: int
    plan_digest: bytes = content()
    requester_person_id: UUID
    principal_id: UUID
    person_id: UUID
    number: int = counted()
    """The person's how many-th on this gate: who has withdrawn may decide again."""
    delegation_id: UUID | None = None
    in_place_of: UUID | None = None
    roles_held: list[str] = words()
    verdict: str
    reason: str
    meaning: str | None = None
    """Null, from a version before there was one, is not known."""
    review_digest: bytes | None = optional_content()
    decided_at: datetime = recorded()


class DecisionWithdrawal(SQLModel, table=True):
    """Somebody took back what was decided, before execution began. The decision stays, and counts
    no more."""

    __tablename__ = "decision_withdrawals"
    __table_args__ = (
        within_project("decision_id", "decisions"),
        ForeignKeyConstraint(
            ["decision_id", "gate_id", "run_id", "person_id"],
            ["decisions.id", "decisions.gate_id", "decisions.run_id", "decisions.person_id"],
        ),
        of_same_run("gate_id", "approval_gates"),
        ForeignKeyConstraint(
            ["gate_id", "reopens"], ["gate_closures.gate_id", "gate_closures.number"]
        ),
        UniqueConstraint("gate_id", "reopens"),
        by_whom("principal_id", "person_id"),
        Index("decision_withdrawals_of_gate", "gate_id"),
        Index("decision_withdrawals_of_run", "run_id"),
    )
    decision_id: UUID = key()
    project_id: UUID
    gate_id: UUID
    run_id: UUID
    principal_id: UUID
    person_id: UUID
    reopens: int | None = None
    """The closure that is not in force any more without this decision."""
    reason: str
    withdrawn_at: datetime = recorded()


class Revalidation(SQLModel, table=True):
    """The check between the last gate and the first step; `same` permits execution."""

    __tablename__ = "revalidations"
    __table_args__ = (within_project("run_id", "runs"), one_of("outcome", ("same", "drift")))
    run_id: UUID = key()
    generation: int = key()
    project_id: UUID
    plan_digest: bytes = content()
    outcome: str
    difference: bytes | None = optional_content()
    created_at: datetime = recorded()


class CancelRequest(SQLModel, table=True):
    __tablename__ = "cancel_requests"
    __table_args__ = (
        within_project("run_id", "runs"),
        ForeignKeyConstraint(["principal_id"], ["principals.id"]),
    )
    run_id: UUID = key()
    project_id: UUID
    principal_id: UUID
    reason: str
    requested_at: datetime = recorded()


class Incident(SQLModel, table=True):
    """Something went wrong with a run outside its normal course; may end it."""

    __tablename__ = "incidents"
    __table_args__ = (
        within_project("run_id", "runs"),
        one_of("ends_as", RunState),
        one_of("failure_class", FailureClass),
        Index("incidents_of_run", "run_id"),
    )
    id: UUID = key()
    project_id: UUID
    run_id: UUID
    kind: str
    ends_as: str | None = None
    failure_class: str | None = None
    message: str
    details: bytes = content()
    created_at: datetime = recorded()


class WorkflowExecution(SQLModel, table=True):
    """Every Temporal execution that acted for a run. A second one is an incident, unless it is the
    first one's own continuation."""

    __tablename__ = "workflow_executions"
    __table_args__ = (
        within_project("run_id", "runs"),
        CheckConstraint("char_length(workflow_run_id) <= 64", name="workflow_run_id_length"),
    )
    run_id: UUID = key()
    workflow_run_id: str = key()
    project_id: UUID
    continues: str | None = None
    """The execution that went on as this one, when its history had become long."""
    first_seen_at: datetime = recorded()
