"""Audit rows in their final shape, and the rows that carry work on: outbox, idempotency."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Identity,
    Index,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel

from animus.ledger.leaves import Result
from animus.store.columns import (
    content,
    digest_size,
    in_project,
    key,
    moment,
    moment_key,
    one_of,
    recorded,
    within_project,
)


class AuditEvent(SQLModel, table=True):
    """`leaf` is the record; the other columns are extracted from it for search."""

    __tablename__ = "audit_events"
    __table_args__ = (
        one_of("result", Result),
        digest_size("payload_hash"),
        Index("audit_events_of_project", "project_id", "occurred_at"),
        Index("audit_events_of_run", "run_id", postgresql_where="run_id IS NOT NULL"),
    )
    id: UUID = key()
    leaf: bytes = content()
    payload_hash: bytes = content()
    occurred_at: datetime = moment()
    project_id: UUID | None = None
    run_id: UUID | None = None
    actor_id: UUID | None = None
    actor_kind: str
    action: str
    result: str
    request_id: str


class AuditPayload(SQLModel, table=True):
    """Erasable, through `animus_erase_audit_payload` alone."""

    __tablename__ = "audit_payloads"
    __table_args__ = (ForeignKeyConstraint(["event_id"], ["audit_events.id"]),)
    event_id: UUID = key()
    salt: bytes = content()
    payload: bytes = content()


class AuditPending(SQLModel, table=True):
    """Committed and not yet indexed. Emptied by the integrator."""

    __tablename__ = "audit_pending"
    __table_args__ = (ForeignKeyConstraint(["event_id"], ["audit_events.id"]),)
    event_id: UUID = key()


class AuditIndexEntry(SQLModel, table=True):
    """The dense index: 0, 1, 2, ... in the order of integration, without a gap."""

    __tablename__ = "audit_index"
    __table_args__ = (
        UniqueConstraint("event_id"),
        ForeignKeyConstraint(["event_id"], ["audit_events.id"]),
    )
    index: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False}
    )
    event_id: UUID
    integrated_at: datetime = recorded()


class Outbox(SQLModel, table=True):
    """What the relay must tell Temporal. Gone once it was told. Without a run: there is news in the
    project of which people may have to be told."""

    __tablename__ = "outbox"
    __table_args__ = (
        in_project(),
        within_project("run_id", "runs"),
        CheckConstraint("run_id IS NOT NULL OR kind = 'notify'", name="news_only_without_run"),
    )
    seq: int | None = Field(
        default=None, primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(always=True),)
    )
    project_id: UUID
    run_id: UUID | None = None
    kind: str
    created_at: datetime = recorded()


class IdempotencyRecord(SQLModel, table=True):
    """A request that was answered: its digest, status and entity; never a body."""

    __tablename__ = "idempotency_records"
    __table_args__ = (
        ForeignKeyConstraint(["principal_id"], ["principals.id"]),
        digest_size("request_digest"),
        Index("idempotency_records_oldest", "created_at"),
    )
    principal_id: UUID = key()
    method: str = key()
    route: str = key()
    scope: str = key()
    """The project's id, or empty for the platform."""
    idempotency_key: str = key()
    request_digest: bytes = content()
    status: int
    entity_id: str
    created_at: datetime = recorded()


class RunMetric(SQLModel, table=True):
    """One point of a metric; partitioned by month of arrival."""

    __tablename__ = "run_metrics"
    __table_args__ = (
        within_project("run_id", "runs"),
        Index("run_metrics_of_run", "run_id", "name", "step_number"),
        {"postgresql_partition_by": "RANGE (recorded_at)"},
    )
    id: UUID = key()
    recorded_at: datetime = moment_key()
    project_id: UUID
    run_id: UUID
    step: str
    name: str
    step_number: int = Field(sa_type=BigInteger)
    value: float


class RunMessage(SQLModel, table=True):
    """What a step said about itself through the SDK; partitioned by month of arrival."""

    __tablename__ = "run_messages"
    __table_args__ = (
        within_project("run_id", "runs"),
        Index("run_messages_of_run", "run_id", "id"),
        {"postgresql_partition_by": "RANGE (recorded_at)"},
    )
    id: UUID = key()
    recorded_at: datetime = moment_key()
    project_id: UUID
    run_id: UUID
    step: str
    level: str
    message: str
    fields: bytes = content()


class TelemetryTotal(SQLModel, table=True):
    """How much a run has said through the SDK: what is in partitions is slow to count."""

    __tablename__ = "telemetry_totals"
    __table_args__ = (within_project("run_id", "runs"),)
    run_id: UUID = key()
    project_id: UUID
    metric_points: int = Field(sa_type=BigInteger)
    messages: int = Field(sa_type=BigInteger)
