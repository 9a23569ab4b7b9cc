"""When the agents of clusters were last heard of, and for how long they were away."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import SQLModel

from animus.store.columns import key, moment_key, optional_moment, recorded


class AgentHeartbeat(SQLModel, table=True):
    """The last sign of life of a cluster's agent, by the database's clock."""

    __tablename__ = "agent_heartbeats"
    __table_args__ = (ForeignKeyConstraint(["cluster_id"], ["clusters.id"]),)
    cluster_id: UUID = key()
    seen_at: datetime = recorded()
    version: str


class AgentAbsence(SQLModel, table=True):
    """An agent that had been heard of was not any more; until it was heard of again."""

    __tablename__ = "agent_absences"
    __table_args__ = (
        ForeignKeyConstraint(["cluster_id"], ["clusters.id"]),
        Index(
            "agent_absences_one_at_a_time",
            "cluster_id",
            unique=True,
            postgresql_where="returned_at IS NULL",
        ),
    )
    cluster_id: UUID = key()
    last_seen_at: datetime = moment_key()
    noticed_at: datetime = recorded()
    returned_at: datetime | None = optional_moment()
