"""Blobs, manifests, datasets, sources and the uploads that become them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from animus.store.database import AnyRow, ReadSession, UnitOfWork
from animus.store.scope import scoped
from animus.store.tables import Blob, Dataset, DatasetVersion, ManifestRow, Source, Upload


async def find_blobs(
    session: ReadSession, project_id: UUID, digests: Collection[bytes]
) -> dict[bytes, Blob]:
    rows = await session.all(scoped(Blob, project_id).where(col(Blob.sha256).in_(digests)))
    return {row.sha256: row for row in rows}


async def keep_blobs(uow: UnitOfWork, blobs: Iterable[Blob]) -> None:
    """Content-addressed: the first verification of an object stays."""
    values = [blob.model_dump(exclude={"verified_at"}) for blob in blobs]
    if values:
        await uow.execute(insert(Blob).values(values).on_conflict_do_nothing())


async def keep_manifest(uow: UnitOfWork, row: ManifestRow) -> None:
    values = row.model_dump(exclude={"created_at"})
    await uow.execute(insert(ManifestRow).values(values).on_conflict_do_nothing())


async def find_manifest(
    session: ReadSession, project_id: UUID, digest: bytes
) -> ManifestRow | None:
    return await session.first(
        scoped(ManifestRow, project_id).where(col(ManifestRow.digest) == digest)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownContent:
    """A manifest that the project has under the names of one or more dataset versions."""

    digest: bytes
    files: int
    total_bytes: int
    names: Sequence[str]
    """As `churn@4`, the oldest first."""


async def find_known_contents(
    session: ReadSession, project_id: UUID, digests: Collection[bytes]
) -> Sequence[KnownContent]:
    rows = await session.fetch(
        "SELECT m.digest, m.files, m.total_bytes,"
        " array_agg(d.name || '@' || v.ordinal ORDER BY v.id)"
        "  FROM manifests m"
        "  JOIN dataset_versions v ON v.project_id = m.project_id AND v.digest = m.digest"
        "  JOIN datasets d ON d.project_id = v.project_id AND d.id = v.dataset_id"
        " WHERE m.project_id = %s AND m.digest = ANY(%s)"
        " GROUP BY m.digest, m.files, m.total_bytes",
        project_id,
        list(digests),
    )
    return [
        KnownContent(digest=digest, files=files, total_bytes=total_bytes, names=names)
        for digest, files, total_bytes, names in rows
    ]


async def find_manifests(
    session: ReadSession, project_id: UUID, digests: Collection[bytes]
) -> Sequence[ManifestRow]:
    return await session.all(
        scoped(ManifestRow, project_id).where(col(ManifestRow.digest).in_(digests))
    )


async def find_dataset(session: ReadSession, project_id: UUID, dataset_id: UUID) -> Dataset | None:
    return await session.first(scoped(Dataset, project_id).where(col(Dataset.id) == dataset_id))


async def find_dataset_by_name(session: ReadSession, project_id: UUID, name: str) -> Dataset | None:
    rows = await session.pick(Dataset, "project_id = %s AND name = %s", project_id, name)
    return next(iter(rows), None)


async def list_datasets(
    session: ReadSession, project_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[Dataset]:
    statement = scoped(Dataset, project_id).order_by(col(Dataset.id)).limit(limit)
    if after is not None:
        statement = statement.where(col(Dataset.id) > after)
    return await session.all(statement)


async def list_versions(
    session: ReadSession, project_id: UUID, dataset_id: UUID, *, before: int | None, limit: int
) -> Sequence[AnyRow]:
    """(version, manifest), newest first."""
    statement = (
        select(DatasetVersion, ManifestRow)
        .join(
            ManifestRow,
            (col(ManifestRow.project_id) == col(DatasetVersion.project_id))
            & (col(ManifestRow.digest) == col(DatasetVersion.digest)),
        )
        .where(col(DatasetVersion.project_id) == project_id)
        .where(col(DatasetVersion.dataset_id) == dataset_id)
        .order_by(col(DatasetVersion.ordinal).desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(col(DatasetVersion.ordinal) < before)
    return await session.rows(statement)


async def find_version(session: ReadSession, project_id: UUID, version_id: UUID) -> AnyRow | None:
    """(version, dataset, manifest)."""
    statement = (
        select(DatasetVersion, Dataset, ManifestRow)
        .join(Dataset, col(Dataset.id) == col(DatasetVersion.dataset_id))
        .join(
            ManifestRow,
            (col(ManifestRow.project_id) == col(DatasetVersion.project_id))
            & (col(ManifestRow.digest) == col(DatasetVersion.digest)),
        )
        .where(col(DatasetVersion.project_id) == project_id)
        .where(col(DatasetVersion.id) == version_id)
    )
    return next(iter(await session.rows(statement)), None)


async def find_version_of_dataset(
    session: ReadSession, project_id: UUID, dataset_id: UUID, digest: bytes
) -> DatasetVersion | None:
    return await session.first(
        scoped(DatasetVersion, project_id).where(
            col(DatasetVersion.dataset_id) == dataset_id, col(DatasetVersion.digest) == digest
        )
    )


async def next_ordinal(session: ReadSession, project_id: UUID, dataset_id: UUID) -> int:
    """Call under a lock on the dataset."""
    last = await session.first(
        select(func.max(col(DatasetVersion.ordinal))).where(
            col(DatasetVersion.project_id) == project_id,
            col(DatasetVersion.dataset_id) == dataset_id,
        )
    )
    return (last or 0) + 1


async def find_source(
    session: ReadSession, project_id: UUID, pack_sha256: bytes, *, commit: str, path: str
) -> Source | None:
    return await session.first(
        scoped(Source, project_id).where(
            col(Source.pack_sha256) == pack_sha256,
            col(Source.commit) == commit,
            col(Source.path) == path,
        )
    )


async def get_source(session: ReadSession, project_id: UUID, source_id: UUID) -> Source | None:
    return await session.first(scoped(Source, project_id).where(col(Source.id) == source_id))


async def find_upload(
    session: ReadSession, project_id: UUID, upload_id: UUID, *, kind: str
) -> Upload | None:
    return await session.first(
        scoped(Upload, project_id).where(col(Upload.id) == upload_id, col(Upload.kind) == kind)
    )


async def settle_upload(
    uow: UnitOfWork, project_id: UUID, upload_id: UUID, *, entity_id: UUID, at: datetime
) -> None:
    await uow.execute(
        update(Upload)
        .where(col(Upload.project_id) == project_id, col(Upload.id) == upload_id)
        .values(committed_at=at, entity_id=entity_id)
    )


async def sweep_uploads(uow: UnitOfWork, *, before: datetime) -> None:
    """Forget uploads that expired before; what they declared was never more than declared."""
    # lint-skip: project-scope: housekeeping over all projects
    await uow.execute(delete(Upload).where(col(Upload.expires_at) < before))
