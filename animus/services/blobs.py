"""Objects in the store and the rows that say they were verified."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from animus.domain.digests import format_digest
from animus.domain.ids import ProjectId
from animus.ports import (
    ObjectStore,
    ObjectWrongDigest,
    ObjectWrongSize,
    PresignedGet,
    PresignedPut,
)
from animus.store.tables import Blob

URL_LIFE = timedelta(minutes=10)
UPLOAD_LIFE = timedelta(days=1)
VERIFY_CONCURRENCY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedObject:
    sha256: bytes
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectUpload:
    """One object that the client still has to PUT."""

    sha256: bytes
    size: int
    put: PresignedPut


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectDownload:
    sha256: bytes
    size: int
    get: PresignedGet


def uploads_for(
    store: ObjectStore, project_id: ProjectId, objects: Iterable[WantedObject]
) -> tuple[ObjectUpload, ...]:
    """A presigned PUT for each; the same content is uploaded once."""
    distinct = {wanted.sha256: wanted for wanted in objects}
    return tuple(
        ObjectUpload(
            sha256=wanted.sha256,
            size=wanted.size,
            put=store.presign_put(project_id, wanted.sha256, size=wanted.size, expires=URL_LIFE),
        )
        for wanted in distinct.values()
    )


def download_of(
    store: ObjectStore, project_id: ProjectId, blob: Blob, *, filename: str | None = None
) -> ObjectDownload:
    get = store.presign_get(
        project_id, blob.sha256, version_id=blob.version_id, expires=URL_LIFE, filename=filename
    )
    return ObjectDownload(sha256=blob.sha256, size=blob.size, get=get)


async def verify_all(
    store: ObjectStore,
    project_id: ProjectId,
    objects: Iterable[WantedObject],
    known: Mapping[bytes, Blob],
) -> list[Blob]:
    """Rows for every object that is not known yet, each compared with the store.

    Raises `ObjectMissing`, `ObjectWrongSize` or `ObjectWrongDigest` for the first that differs.
    """
    distinct: dict[bytes, WantedObject] = {}
    for wanted in objects:
        there = known.get(wanted.sha256) or distinct.setdefault(wanted.sha256, wanted)
        _check_size(wanted, there.size)
    limit = asyncio.Semaphore(VERIFY_CONCURRENCY)

    async def one(wanted: WantedObject) -> Blob:
        async with limit:
            return await verify_one(store, project_id, wanted)

    return list(await asyncio.gather(*(one(wanted) for wanted in distinct.values())))


def _check_size(wanted: WantedObject, size: int) -> None:
    """What is known is not verified again; what is said of it must still be right."""
    if wanted.size != size:
        raise ObjectWrongSize(
            f"{format_digest(wanted.sha256)} was announced with {wanted.size} bytes, and has "
            f"{size}. Announce the right size."
        )


async def verify_one(store: ObjectStore, project_id: ProjectId, wanted: WantedObject) -> Blob:
    try:
        verified = await store.verify(project_id, wanted.sha256, size=wanted.size)
    except (ObjectWrongDigest, ObjectWrongSize):
        await _clear_key(store, project_id, wanted.sha256)
        raise
    return Blob(
        project_id=project_id,
        sha256=wanted.sha256,
        size=wanted.size,
        version_id=verified.version_id,
        verified_by=verified.verified_by,
    )


async def _clear_key(store: ObjectStore, project_id: ProjectId, sha256: bytes) -> None:
    """Bytes that are not what their key says must not stand in the way of the right ones.

    Only a version that was read and found wrong goes: where merely its announced size was wrong,
    it may be registered already.
    """
    found = await store.find_object(project_id, sha256)
    if found is None or found.version_id is None or found.sha256 == sha256:
        return
    content = await store.stream_digest(project_id, sha256, version_id=found.version_id)
    if content.sha256 != sha256:
        await store.discard(project_id, sha256, version_id=found.version_id)
