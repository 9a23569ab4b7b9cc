"""Content and what names it: blobs, manifests, datasets, sources, uploads under way."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from animus.domain.code_refs import CodeState
from animus.store.columns import (
    content,
    content_key,
    digest_size,
    in_project,
    key,
    moment,
    one_of,
    optional_moment,
    recorded,
    within_project,
)


class Blob(SQLModel, table=True):
    """An object whose digest and size were verified. `version_id` is the store's."""

    __tablename__ = "blobs"
    __table_args__ = (
        in_project(),
        digest_size("sha256"),
        one_of("verified_by", ("store-put", "store-copy", "stream")),
        CheckConstraint("size >= 0", name="size_positive"),
    )
    project_id: UUID = key()
    sha256: bytes = content_key()
    size: int = Field(sa_type=BigInteger)
    version_id: str
    verified_by: str
    verified_at: datetime = recorded()


class ManifestRow(SQLModel, table=True):
    __tablename__ = "manifests"
    __table_args__ = (in_project(), digest_size("digest"))
    project_id: UUID = key()
    digest: bytes = content_key()
    canonical: bytes = content()
    files: int
    total_bytes: int = Field(sa_type=BigInteger)
    created_at: datetime = recorded()


class Dataset(SQLModel, table=True):
    __tablename__ = "datasets"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint("project_id", "name"),
        in_project(),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
    )
    id: UUID = key()
    project_id: UUID
    name: str
    description: str
    created_by: UUID
    created_at: datetime = recorded()


class DatasetVersion(SQLModel, table=True):
    __tablename__ = "dataset_versions"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint("dataset_id", "ordinal"),
        UniqueConstraint("dataset_id", "digest"),
        within_project("dataset_id", "datasets"),
        within_project("digest", "manifests", "digest"),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
    )
    id: UUID = key()
    project_id: UUID
    dataset_id: UUID
    ordinal: int
    digest: bytes = content()
    created_by: UUID
    created_at: datetime = recorded()


class Source(SQLModel, table=True):
    """A source pack that was verified: what the server recomputed from its bytes."""

    __tablename__ = "sources"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint("project_id", "pack_sha256", "commit", "path"),
        within_project("pack_sha256", "blobs", "sha256"),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
        one_of("state", CodeState),
        one_of("object_format", ("sha1", "sha256")),
    )
    id: UUID = key()
    project_id: UUID
    pack_sha256: bytes = content()
    commit: str
    object_format: str
    path: str
    state: str
    limitations: bytes = content()
    files: int
    total_bytes: int = Field(sa_type=BigInteger)
    created_by: UUID
    created_at: datetime = recorded()


class Upload(SQLModel, table=True):
    """Something declared and not yet committed; swept when it expires."""

    __tablename__ = "uploads"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        in_project(),
        ForeignKeyConstraint(["created_by"], ["principals.id"]),
        one_of("kind", ("dataset_version", "artifact", "source")),
    )
    id: UUID = key()
    project_id: UUID
    kind: str
    subject_id: UUID | None = None
    """The dataset or the run it is for."""
    declared: bytes = content()
    created_by: UUID
    created_at: datetime = recorded()
    expires_at: datetime = moment()
    committed_at: datetime | None = optional_moment()
    entity_id: UUID | None = None
