"""Quotas of projects and capacities of clusters; which runs waited, and which were let in."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint
from sqlmodel import SQLModel

from animus.store.columns import content, counted, in_project, key, recorded, within_project


class ProjectQuota(SQLModel, table=True):
    """The last revision is in force."""

    __tablename__ = "project_quotas"
    __table_args__ = (
        in_project(),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
        CheckConstraint("revision >= 1", name="revision_positive"),
    )
    project_id: UUID = key()
    revision: int = key()
    limits: bytes = content()
    reason: str
    created_by: UUID
    created_at: datetime = recorded()


class ClusterCapacity(SQLModel, table=True):
    """The last revision is in force."""

    __tablename__ = "cluster_capacities"
    __table_args__ = (
        ForeignKeyConstraint(["cluster_id"], ["clusters.id"]),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
        CheckConstraint("revision >= 1", name="revision_positive"),
    )
    cluster_id: UUID = key()
    revision: int = key()
    limits: bytes = content()
    reason: str
    created_by: UUID
    created_at: datetime = recorded()


class QueueEntry(SQLModel, table=True):
    """A run came to the queue, with this plan's peak; since then it waits, or has waited."""

    __tablename__ = "queue_entries"
    __table_args__ = (within_project("run_id", "runs"),)
    run_id: UUID = key()
    generation: int = key()
    project_id: UUID
    peak: bytes = content()
    enqueued_at: datetime = recorded()


class Admission(SQLModel, table=True):
    """A run was let in: what it has at its peak is in use until it ends, is planned anew, or has
    to leave what it was let in with."""

    __tablename__ = "admissions"
    __table_args__ = (within_project("run_id", "runs"),)
    run_id: UUID = key()
    generation: int = key()
    stay: int = counted(is_key=True)
    project_id: UUID
    peak: bytes = content()
    admitted_at: datetime = recorded()


class QueueDeparture(SQLModel, table=True):
    """A run had to leave, waiting or let in, before it began: a decision was withdrawn. If it comes
    back it is where it was by the time that it came first, and is let in anew: the next stay."""

    __tablename__ = "queue_departures"
    __table_args__ = (within_project("run_id", "runs"),)
    run_id: UUID = key()
    generation: int = key()
    stay: int = key()
    project_id: UUID
    left_at: datetime = recorded()
