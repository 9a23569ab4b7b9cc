"""Pipelines: expanded, checked, kept by digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from animus.domain.digests import Digest, format_digest
from animus.domain.errors import NotFound
from animus.domain.ids import ProjectId
from animus.domain.pipeline_expansion import expand_pipeline
from animus.domain.pipelines import PipelineSpec
from animus.services.calls import Call, record
from animus.services.parsed import pipeline_of, with_digest
from animus.services.secret_checks import check_pipeline
from animus.store import definitions
from animus.store.database import ReadSession, UnitOfWork
from animus.store.tables import Pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineView:
    digest: Digest
    name: str
    spec: PipelineSpec
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPipeline:
    """What a file would become; nothing was kept."""

    digest: Digest
    spec: PipelineSpec


def check(written: object) -> CheckedPipeline:
    found = with_digest(expand_pipeline(written))
    return CheckedPipeline(digest=found.digest, spec=found.spec)


async def register(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    *,
    written: object,
    not_secret: frozenset[str],
) -> PipelineView:
    """Keep the explicit form; registering the same again gives what is there."""
    found = with_digest(expand_pipeline(written))
    spec, canonical, digest = found.spec, found.canonical, found.digest
    check_pipeline(spec, allowed=not_secret)
    await uow.lock("pipeline", project_id, digest.hex())
    if await definitions.find_pipeline(uow, project_id, digest) is None:
        keep(uow, call, project_id, spec=spec, canonical=canonical, digest=digest)
        record(
            uow, call, "pipeline.registered",
            project_id=project_id, subjects={"pipeline": format_digest(digest)},
            payload={"name": spec.metadata.name, "not_secret": sorted(not_secret)},
        )  # fmt: skip
        await uow.flush()
    return await get_pipeline(uow, project_id, digest)


def keep(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    *,
    spec: PipelineSpec,
    canonical: bytes,
    digest: Digest,
) -> None:
    definitions.keep_pipeline(
        uow,
        Pipeline(
            project_id=project_id,
            digest=digest,
            name=spec.metadata.name,
            canonical=canonical,
            created_by=call.by.principal_id,
        ),
    )


async def list_pipelines(session: ReadSession, project_id: ProjectId) -> Sequence[PipelineView]:
    return [_view(row) for row in await definitions.list_pipelines(session, project_id)]


async def get_pipeline(session: ReadSession, project_id: ProjectId, digest: bytes) -> PipelineView:
    row = await definitions.find_pipeline(session, project_id, digest)
    if row is None:
        raise NotFound("pipeline", format_digest(digest))
    return _view(row)


def _view(row: Pipeline) -> PipelineView:
    return PipelineView(
        digest=Digest(row.digest),
        name=row.name,
        spec=pipeline_of(row.canonical),
        created_at=row.created_at,
    )
