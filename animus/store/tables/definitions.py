"""What runs are made of by name: environments and locks, pipelines, policies and versions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKeyConstraint, Identity, UniqueConstraint
from sqlmodel import Field, SQLModel

from animus.store.columns import (
    content,
    content_key,
    digest_size,
    in_project,
    key,
    one_of,
    recorded,
    within_project,
)


class Environment(SQLModel, table=True):
    """One version of an environment definition; editing makes the next."""

    __tablename__ = "environments"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint("project_id", "name", "version"),
        in_project(),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
    )
    id: UUID = key()
    project_id: UUID
    name: str
    version: int
    canonical: bytes = content()
    created_by: UUID
    created_at: datetime = recorded()


class EnvironmentLockRow(SQLModel, table=True):
    __tablename__ = "environment_locks"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint("project_id", "digest"),
        within_project("environment_id", "environments"),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
        digest_size("digest"),
    )
    id: UUID = key()
    project_id: UUID
    environment_id: UUID
    digest: bytes = content()
    canonical: bytes = content()
    created_by: UUID
    created_at: datetime = recorded()


class Pipeline(SQLModel, table=True):
    """The explicit form, by its digest."""

    __tablename__ = "pipelines"
    __table_args__ = (
        in_project(),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
        digest_size("digest"),
    )
    project_id: UUID = key()
    digest: bytes = content_key()
    name: str
    canonical: bytes = content()
    created_by: UUID
    created_at: datetime = recorded()


class Policy(SQLModel, table=True):
    __tablename__ = "policies"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint("project_id", "name"),
        in_project(),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
    )
    id: UUID = key()
    project_id: UUID
    name: str
    created_by: UUID
    created_at: datetime = recorded()


class PolicyVersion(SQLModel, table=True):
    __tablename__ = "policy_versions"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint("policy_id", "version"),
        within_project("policy_id", "policies"),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
        digest_size("digest"),
    )
    id: UUID = key()
    project_id: UUID
    policy_id: UUID
    version: int
    digest: bytes = content()
    canonical: bytes = content()
    created_by: UUID
    created_at: datetime = recorded()


class PolicyPublication(SQLModel, table=True):
    """Publishing and withdrawing, in order; a version's last says whether it is in force."""

    __tablename__ = "policy_publications"
    __table_args__ = (
        within_project("policy_version_id", "policy_versions"),
        ForeignKeyConstraint(["project_id", "change_id"], ["changes.project_id", "changes.id"]),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
        one_of("action", ("published", "withdrawn")),
    )
    seq: int | None = Field(
        default=None, primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(always=True),)
    )
    project_id: UUID = Field(index=True)
    policy_version_id: UUID
    action: str
    change_id: UUID | None = None
    created_by: UUID
    created_at: datetime = recorded()
