"""Source packs: declared, uploaded by the client, and proved from their bytes before they count."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from animus.domain.canonical import JsonObject, canonical_bytes, decode_strictly
from animus.domain.code_refs import CodeLimitation, CodeState, canonical_limitations
from animus.domain.digests import Digest, format_digest, parse_digest
from animus.domain.errors import NotFound, TooLarge
from animus.domain.ids import ProjectId, SourceId, UploadId
from animus.domain.sources.limits import MAX_PACK_BYTES
from animus.domain.sources.objects import ObjectFormat
from animus.domain.sources.proofs import SourceProof, verify_source_pack
from animus.ports import ObjectStore
from animus.services.blobs import (
    UPLOAD_LIFE,
    ObjectUpload,
    WantedObject,
    uploads_for,
    verify_one,
)
from animus.services.calls import Call, record
from animus.services.secret_checks import check_texts
from animus.store import data
from animus.store.database import Database, ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.tables import Source, Upload

UPLOAD_KIND = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareSource:
    pack_sha256: Digest
    size: int
    commit: str
    object_format: ObjectFormat
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    id: SourceId
    pack_sha256: Digest
    commit: str
    object_format: ObjectFormat
    path: str
    state: CodeState
    limitations: tuple[CodeLimitation, ...]
    files: int
    total_bytes: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSource:
    """`source` is set where it is proved already; `upload` where the store lacks the pack."""

    id: UploadId
    source: SourceView | None
    upload: ObjectUpload | None
    expires_at: datetime


async def declare_source(
    uow: UnitOfWork, call: Call, project_id: ProjectId, said: DeclareSource, *, store: ObjectStore
) -> DeclaredSource:
    check_texts(path=said.path)
    if said.size > MAX_PACK_BYTES:
        raise TooLarge(
            f"A source pack has at most {MAX_PACK_BYTES} bytes. Choose a smaller directory."
        )
    upload = Upload(
        id=new_id(),
        project_id=project_id,
        kind=UPLOAD_KIND,
        declared=canonical_bytes(_declaration(said)),
        created_by=call.by.principal_id,
        expires_at=call.now + UPLOAD_LIFE,
    )
    uow.add(upload)
    await uow.flush()
    record(
        uow, call, "source.declared",
        project_id=project_id, subjects={"upload": upload.id}, payload=_declaration(said),
    )  # fmt: skip
    return await get_declared(uow, project_id, UploadId(upload.id), store=store)


async def get_declared(
    session: ReadSession, project_id: ProjectId, upload_id: UploadId, *, store: ObjectStore
) -> DeclaredSource:
    """The declaration with a fresh URL."""
    upload = await _get_upload(session, project_id, upload_id)
    said = _read(upload)
    row = await _find(session, project_id, said)
    known = await data.find_blobs(session, project_id, [said.pack_sha256])
    wanted = WantedObject(sha256=said.pack_sha256, size=said.size)
    missing = [] if known else [wanted]
    return DeclaredSource(
        id=upload_id,
        source=_view(row) if row is not None else None,
        upload=next(iter(uploads_for(store, project_id, missing)), None),
        expires_at=upload.expires_at,
    )


async def commit_source(
    database: Database,
    call: Call,
    project_id: ProjectId,
    upload_id: UploadId,
    *,
    store: ObjectStore,
) -> SourceView:
    """Read the pack back and recompute its commit; what was found is the source. Repeatable.

    Raises a `SourceRefused` where the bytes do not prove what was declared.
    """
    async with database.read() as session:
        said = _read(await _get_upload(session, project_id, upload_id))
        there = await _find(session, project_id, said)
    if there is not None:
        return _view(there)
    wanted = WantedObject(sha256=said.pack_sha256, size=said.size)
    blob = await verify_one(store, project_id, wanted)
    pack = await store.get_bytes(
        project_id, said.pack_sha256, version_id=blob.version_id, limit=MAX_PACK_BYTES
    )
    proof = await asyncio.to_thread(
        verify_source_pack,
        pack,
        commit=said.commit,
        object_format=said.object_format,
        path=said.path,
    )
    async with database.write() as uow:
        await uow.lock("source", project_id, said.pack_sha256.hex())
        row = await _find(uow, project_id, said)
        if row is None:
            await data.keep_blobs(uow, [blob])
            row = await _keep(uow, call, project_id, proof)
        await data.settle_upload(uow, project_id, upload_id, entity_id=row.id, at=call.now)
        return _view(row)


async def get_source(session: ReadSession, project_id: ProjectId, source_id: UUID) -> SourceView:
    row = await data.get_source(session, project_id, source_id)
    if row is None:
        raise NotFound("source", str(source_id))
    return _view(row)


async def _keep(uow: UnitOfWork, call: Call, project_id: ProjectId, proof: SourceProof) -> Source:
    limitations = [
        CodeLimitation.model_validate({"code": one.code, "subject": one.subject})
        for one in proof.limitations
    ]
    row = Source(
        id=new_id(),
        project_id=project_id,
        pack_sha256=proof.pack_sha256,
        commit=proof.commit,
        object_format=proof.object_format,
        path=proof.path,
        state=CodeState(proof.state),
        limitations=canonical_limitations(limitations),
        files=len(proof.files),
        total_bytes=proof.total_bytes,
        created_by=call.by.principal_id,
    )
    uow.add(row)
    await uow.flush()
    record(
        uow, call, "source.proved",
        project_id=project_id, subjects={"source": row.id},
        payload={
            "pack_sha256": format_digest(proof.pack_sha256), "commit": proof.commit,
            "state": row.state, "limitations": len(limitations),
        },
    )  # fmt: skip
    await uow.flush()
    return row


async def _find(session: ReadSession, project_id: ProjectId, said: DeclareSource) -> Source | None:
    return await data.find_source(
        session, project_id, said.pack_sha256, commit=said.commit, path=said.path
    )


async def _get_upload(session: ReadSession, project_id: ProjectId, upload_id: UploadId) -> Upload:
    upload = await data.find_upload(session, project_id, upload_id, kind=UPLOAD_KIND)
    if upload is None:
        raise NotFound("source upload", str(upload_id))
    return upload


def _declaration(said: DeclareSource) -> JsonObject:
    return {
        "pack_sha256": format_digest(said.pack_sha256),
        "size": said.size,
        "commit": said.commit,
        "object_format": str(said.object_format),
        "path": said.path,
    }


def _read(upload: Upload) -> DeclareSource:
    said = decode_strictly(upload.declared)
    return DeclareSource(
        pack_sha256=parse_digest(said["pack_sha256"]),
        size=said["size"],
        commit=said["commit"],
        object_format=ObjectFormat(said["object_format"]),
        path=said["path"],
    )


def _view(row: Source) -> SourceView:
    return SourceView(
        id=SourceId(row.id),
        pack_sha256=Digest(row.pack_sha256),
        commit=row.commit,
        object_format=ObjectFormat(row.object_format),
        path=row.path,
        state=CodeState(row.state),
        limitations=tuple(
            CodeLimitation.model_validate(one) for one in decode_strictly(row.limitations)
        ),
        files=row.files,
        total_bytes=row.total_bytes,
        created_at=row.created_at,
    )
