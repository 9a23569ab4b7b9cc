"""Projects, principals, their tokens and roles, and changes that need a second person."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlmodel import SQLModel

from animus.domain.access import PrincipalKind, Role
from animus.store.columns import (
    by_whom,
    content,
    digest_size,
    in_project,
    key,
    moment,
    one_of,
    optional_moment,
    optional_words,
    recorded,
)


class Project(SQLModel, table=True):
    __tablename__ = "projects"
    __table_args__ = (
        UniqueConstraint("name"),
        ForeignKeyConstraint(["created_by"], ["principals.id"], use_alter=True),
    )
    id: UUID = key()
    name: str
    description: str
    allows_production: bool
    created_by: UUID
    created_at: datetime = recorded()


class ProjectClusters(SQLModel, table=True):
    """Where runs of the project may be executed; the last revision is in force."""

    __tablename__ = "project_clusters"
    __table_args__ = (
        in_project(),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
        CheckConstraint("revision >= 1", name="revision_positive"),
    )
    project_id: UUID = key()
    revision: int = key()
    clusters: list[str] | None = optional_words()
    """Names, which clusters keep for good; null is every cluster."""
    reason: str
    created_by: UUID
    created_at: datetime = recorded()


class Principal(SQLModel, table=True):
    """A person answers for itself; a service and a run have a person who answers for them."""

    __tablename__ = "principals"
    __table_args__ = (
        UniqueConstraint("id", "person_id"),
        UniqueConstraint("id", "kind"),
        ForeignKeyConstraint(
            ["person_id", "person_kind"], ["principals.id", "principals.kind"], use_alter=True
        ),
        ForeignKeyConstraint(["project_id"], ["projects.id"]),
        ForeignKeyConstraint(
            ["project_id", "run_id"], ["runs.project_id", "runs.id"], use_alter=True
        ),
        ForeignKeyConstraint(["created_by"], ["principals.id"], use_alter=True),
        one_of("kind", PrincipalKind),
        CheckConstraint("person_kind = 'person'", name="accountable_is_a_person"),
        CheckConstraint("kind <> 'person' OR person_id = id", name="person_answers_for_itself"),
        CheckConstraint("kind = 'person' OR person_id <> id", name="others_have_a_person"),
        CheckConstraint("kind = 'person' OR NOT platform_admin", name="admins_are_persons"),
        CheckConstraint("(kind = 'run') = (run_id IS NOT NULL)", name="run_principal_has_a_run"),
        CheckConstraint("run_id IS NULL OR project_id IS NOT NULL", name="runs_are_of_a_project"),
        Index(
            "principals_person_name",
            "name",
            unique=True,
            postgresql_where=text("project_id IS NULL"),
        ),
        Index(
            "principals_project_name",
            "project_id",
            "name",
            unique=True,
            postgresql_where=text("project_id IS NOT NULL"),
        ),
    )
    id: UUID = key()
    kind: str
    name: str
    display_name: str
    person_id: UUID
    person_kind: str = "person"
    project_id: UUID | None = None
    run_id: UUID | None = None
    platform_admin: bool = False
    created_by: UUID | None = None
    created_at: datetime = recorded()
    disabled_at: datetime | None = optional_moment()


class ApiToken(SQLModel, table=True):
    """Only the hash is here. `hint` is the public beginning, for telling tokens apart."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        ForeignKeyConstraint(["principal_id"], ["principals.id"]),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
        ForeignKeyConstraint(["revoked_by"], ["principals.id"]),
        digest_size("token_hash"),
        CheckConstraint("expires_at > created_at", name="expires_later"),
    )
    id: UUID = key()
    principal_id: UUID
    kind: str
    name: str
    hint: str
    token_hash: bytes = content()
    created_by: UUID | None = None
    created_at: datetime = recorded()
    expires_at: datetime = moment()
    revoked_at: datetime | None = optional_moment()
    revoked_by: UUID | None = None


class Delegation(SQLModel, table=True):
    """A person decides in the place of another, who holds the same role, until a moment."""

    __tablename__ = "delegations"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint("project_id", "id", "delegator_id", "delegate_id"),
        in_project(),
        ForeignKeyConstraint(["delegator_id"], ["principals.id"]),
        ForeignKeyConstraint(["delegate_id"], ["principals.id"]),
        ForeignKeyConstraint(["revoked_by"], ["principals.id"]),
        one_of("role", Role),
        CheckConstraint("delegator_id <> delegate_id", name="two_persons"),
        CheckConstraint("until > created_at", name="until_later"),
        CheckConstraint("until <= created_at + interval '91 days'", name="until_bounded"),
        Index("delegations_to", "project_id", "delegate_id", "until"),
        Index("delegations_newest", "created_at"),
        Index("delegations_revoked", "revoked_at", postgresql_where=text("revoked_at IS NOT NULL")),
    )
    id: UUID = key()
    project_id: UUID
    role: str
    delegator_id: UUID
    delegate_id: UUID
    until: datetime = moment()
    reason: str
    created_at: datetime = recorded()
    revoked_at: datetime | None = optional_moment()
    revoked_by: UUID | None = None


class RoleBinding(SQLModel, table=True):
    __tablename__ = "role_bindings"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        in_project(),
        ForeignKeyConstraint(["principal_id"], ["principals.id"]),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
        ForeignKeyConstraint(["revoked_by"], ["principals.id"]),
        ForeignKeyConstraint(["project_id", "change_id"], ["changes.project_id", "changes.id"]),
        one_of("role", Role),
        Index(
            "role_bindings_live",
            "project_id",
            "principal_id",
            "role",
            unique=True,
            postgresql_where=text("revoked_at IS NULL"),
        ),
    )
    id: UUID = key()
    project_id: UUID
    principal_id: UUID
    role: str
    change_id: UUID | None = None
    created_by: UUID
    created_at: datetime = recorded()
    revoked_at: datetime | None = optional_moment()
    revoked_by: UUID | None = None


class Change(SQLModel, table=True):
    """An administrative act; where it is governed, it waits for a second person."""

    __tablename__ = "changes"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint("id", "requester_person_id", "governed"),
        in_project(),
        by_whom("requested_by", "requester_person_id"),
        one_of("kind", ("grant_role", "publish_policy", "withdraw_policy")),
    )
    id: UUID = key()
    project_id: UUID
    kind: str
    governed: bool
    subject: bytes = content()
    requested_by: UUID
    requester_person_id: UUID
    reason: str
    created_at: datetime = recorded()
    expires_at: datetime = moment()


class ChangeDecision(SQLModel, table=True):
    __tablename__ = "change_decisions"
    __table_args__ = (
        in_project(),
        ForeignKeyConstraint(["project_id", "change_id"], ["changes.project_id", "changes.id"]),
        ForeignKeyConstraint(
            ["change_id", "requester_person_id", "governed"],
            ["changes.id", "changes.requester_person_id", "changes.governed"],
        ),
        by_whom("principal_id", "person_id"),
        ForeignKeyConstraint(
            ["principal_id", "principal_kind"], ["principals.id", "principals.kind"]
        ),
        one_of("verdict", ("confirm", "reject")),
        CheckConstraint(
            "NOT governed OR verdict = 'reject' OR person_id <> requester_person_id",
            name="a_second_person",
        ),
        CheckConstraint(
            "NOT governed OR verdict = 'reject' OR principal_kind = 'person'",
            name="confirmed_by_a_person",
        ),
    )
    change_id: UUID = key()
    project_id: UUID
    governed: bool
    verdict: str
    reason: str
    principal_id: UUID
    principal_kind: str
    person_id: UUID
    requester_person_id: UUID
    decided_at: datetime = recorded()
