"""Clusters, work orders, attempts and their outcomes, artifacts, lineage."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from animus.domain.attempts import AttemptOutcome
from animus.domain.runs import FailureClass
from animus.store.columns import (
    content,
    content_key,
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
)


class Cluster(SQLModel, table=True):
    """Where steps run: one agent's identity and the key that its results are verified with."""

    __tablename__ = "clusters"
    __table_args__ = (
        UniqueConstraint("name"),
        ForeignKeyConstraint(["principal_id"], ["principals.id"]),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
        one_of("executor", ("container", "kubernetes", "noop")),
        digest_size("result_key"),
    )
    id: UUID = key()
    name: str
    executor: str
    runtime: str
    host: str
    """The one machine of a container executor; empty for a cluster."""
    gives_secrets: bool | None = None
    """Whether its agent has a secret store; null where the version before registered it: no."""
    switches_egress: bool | None = None
    """Whether main's pod loses fetch's network; null as above."""
    principal_id: UUID
    result_key: bytes = content()
    """The agent's Ed25519 public key, raw."""
    created_by: UUID
    created_at: datetime = recorded()
    retired_at: datetime | None = optional_moment()


class OrderKey(SQLModel, table=True):
    """Public keys that work orders were signed with."""

    __tablename__ = "order_keys"
    __table_args__ = (digest_size("public_key"),)
    key_id: str = key()
    public_key: bytes = content()
    created_at: datetime = recorded()


class Attempt(SQLModel, table=True):
    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint("project_id", "id", "run_id"),
        UniqueConstraint("run_id", "step", "number"),
        within_project("run_id", "runs"),
        CheckConstraint("number >= 1", name="number_positive"),
    )
    id: UUID = key()
    project_id: UUID
    run_id: UUID
    step: str
    number: int
    plan_digest: bytes = content()
    opened_at: datetime = recorded()


class WorkOrderRow(SQLModel, table=True):
    __tablename__ = "work_orders"
    __table_args__ = (
        UniqueConstraint("order_digest"),
        within_project("attempt_id", "attempts"),
        ForeignKeyConstraint(["cluster_id"], ["clusters.id"]),
        ForeignKeyConstraint(["key_id"], ["order_keys.key_id"]),
        digest_size("order_digest"),
    )
    attempt_id: UUID = key()
    project_id: UUID
    cluster_id: UUID
    canonical: bytes = content()
    order_digest: bytes = content()
    signature: bytes = content()
    key_id: str
    assignment: bytes = content()
    not_before: datetime = moment()
    not_after: datetime = moment()
    created_at: datetime = recorded()


class AttemptClaim(SQLModel, table=True):
    """The agent has shown the order and was given its tokens: from here on it may have started."""

    __tablename__ = "attempt_claims"
    __table_args__ = (
        within_project("attempt_id", "attempts"),
        ForeignKeyConstraint(["principal_id"], ["principals.id"]),
    )
    attempt_id: UUID = key()
    project_id: UUID
    principal_id: UUID
    claimed_at: datetime = recorded()


class AttemptToken(SQLModel, table=True):
    """Credentials of fetch and collect (`attempt`) and of a step with telemetry (`run`)."""

    __tablename__ = "attempt_tokens"
    __table_args__ = (
        of_same_run("attempt_id", "attempts"),
        ForeignKeyConstraint(["principal_id"], ["principals.id"]),
        one_of("scope", ("attempt", "run")),
        digest_size("token_hash"),
        Index("attempt_tokens_of_attempt", "attempt_id"),
    )
    token_hash: bytes = content_key()
    project_id: UUID
    attempt_id: UUID
    run_id: UUID
    principal_id: UUID
    scope: str
    created_at: datetime = recorded()
    expires_at: datetime = moment()
    revoked_at: datetime | None = optional_moment()


class AttemptOutcomeRow(SQLModel, table=True):
    """`result` is the agent's signed answer; without one the outcome is the platform's own.

    What the attempt took is copied out of `result`, for sums; null is unknown, never nothing.
    """

    __tablename__ = "attempt_outcomes"
    __table_args__ = (
        of_same_run("attempt_id", "attempts"),
        one_of("outcome", AttemptOutcome),
        one_of("failure_class", FailureClass),
        CheckConstraint("(result IS NULL) = (signature IS NULL)", name="signed_or_neither"),
        CheckConstraint(
            "outcome <> 'succeeded' OR (result IS NOT NULL AND exit_code = 0)",
            name="success_is_signed",
        ),
        CheckConstraint(
            "least(cpu_milliseconds, peak_memory_bytes, bytes_in, bytes_out) >= 0",
            name="usage_not_negative",
        ),
    )
    attempt_id: UUID = key()
    project_id: UUID
    run_id: UUID
    outcome: str
    failure_class: str | None = None
    failure_code: str | None = None
    message: str = ""
    exit_code: int | None = None
    result: bytes | None = optional_content()
    signature: bytes | None = optional_content()
    recorded_at: datetime = recorded()
    cpu_milliseconds: int | None = Field(default=None, sa_type=BigInteger)
    peak_memory_bytes: int | None = Field(default=None, sa_type=BigInteger)
    bytes_in: int | None = Field(default=None, sa_type=BigInteger)
    bytes_out: int | None = Field(default=None, sa_type=BigInteger)


class StopReceiptRow(SQLModel, table=True):
    __tablename__ = "stop_receipts"
    __table_args__ = (within_project("attempt_id", "attempts"),)
    attempt_id: UUID = key()
    project_id: UUID
    receipt: bytes = content()
    signature: bytes = content()
    recorded_at: datetime = recorded()


class Artifact(SQLModel, table=True):
    __tablename__ = "artifacts"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        within_project("run_id", "runs"),
        of_same_run("attempt_id", "attempts"),
        within_project("sha256", "blobs", "sha256"),
        within_project("manifest_digest", "manifests", "digest"),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
        one_of("origin", ("collect", "log", "telemetry", "api")),
        one_of("form", ("file", "manifest")),
        CheckConstraint("(origin = 'api') = (attempt_id IS NULL)", name="steps_have_attempts"),
        CheckConstraint("origin = 'collect' OR NOT usable", name="outputs_are_usable"),
        Index(
            "artifacts_once_per_attempt",
            "attempt_id",
            "origin",
            "name",
            unique=True,
            postgresql_where="origin IN ('collect', 'log')",
        ),
        Index("artifacts_of_run", "project_id", "run_id"),
    )
    id: UUID = key()
    project_id: UUID
    run_id: UUID
    attempt_id: UUID | None = None
    step: str
    name: str
    kind: str
    form: str
    media_type: str
    sha256: bytes = content()
    size: int = Field(sa_type=BigInteger)
    total_bytes: int = Field(sa_type=BigInteger)
    """Of the file, or of all files of the manifest."""
    manifest_digest: bytes | None = optional_content()
    usable: bool
    """Only a declared output of a step that succeeded; the rest is for reading, never an input."""
    origin: str
    """`collect`, `log`, `telemetry`: of an attempt. `api`: attached by a person or an account."""
    created_by: UUID | None = None
    created_at: datetime = recorded()


class LineageEdge(SQLModel, table=True):
    __tablename__ = "lineage_edges"
    __table_args__ = (
        UniqueConstraint(
            "project_id", "subject_kind", "subject_id", "predicate", "object_kind", "object_id",
            name="lineage_edges_once",
        ),
        in_project(),
        within_project("run_id", "runs"),
        Index("lineage_edges_backwards", "project_id", "object_kind", "object_id"),
    )  # fmt: skip
    id: UUID = key()
    project_id: UUID
    run_id: UUID
    subject_kind: str
    subject_id: str
    predicate: str
    object_kind: str
    object_id: str
    created_at: datetime = recorded()
