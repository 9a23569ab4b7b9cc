"""What a run needs at its start beside an unchanged plan: its cluster, and the bytes it reads.

A plan holds content only, so neither shows in its digest. What is asked here is cheap and no
proof: fetch verifies every byte that a step reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from animus.domain.canonical import decode_strictly
from animus.domain.digests import format_digest, parse_digest
from animus.domain.errors import NotFound
from animus.domain.ids import ProjectId, RunId
from animus.domain.manifests import read_manifest
from animus.domain.run_specs import RunSpec
from animus.domain.runs import FailureClass, RunState
from animus.ports import ObjectStore
from animus.services.blobs import VERIFY_CONCURRENCY
from animus.services.cluster_choices import allowed_in
from animus.services.incidents import IncidentReport
from animus.services.parsed import run_spec_of
from animus.store import data, projects, runs
from animus.store.database import Database, ReadSession
from animus.store.tables import Cluster, ManifestRow, Run

MAX_ASKED = 100
"""Objects of one run that the store is asked for: the source first, then files in order."""


async def find_lost_inputs(
    database: Database, project_id: ProjectId, run_id: RunId, *, store: ObjectStore
) -> Sequence[bytes]:
    """Digests of what the run reads and the store has no more. Asks outside a transaction."""
    run_spec = await runs.find_run_spec(database, project_id, run_id)
    if run_spec is None:
        raise NotFound("run", str(run_id))
    wanted = await _inputs_of(database, project_id, run_spec_of(run_spec))
    limit = asyncio.Semaphore(VERIFY_CONCURRENCY)

    async def is_there(sha256: bytes) -> bool:
        async with limit:
            return await store.find_object(project_id, sha256) is not None

    found = await asyncio.gather(*map(is_there, wanted))
    return [sha256 for sha256, there in zip(wanted, found, strict=True) if not there]


async def find_obstacle(
    session: ReadSession, run: Run, lost_inputs: Sequence[bytes]
) -> IncidentReport | None:
    """Why a run cannot start although its plan is the approved one."""
    (cluster,) = await session.pick(Cluster, "id = %s", run.cluster_id)
    if cluster.retired_at is not None:
        return IncidentReport(
            kind="cluster_retired",
            message="The cluster that the run was to use is retired. Submit it for another one.",
            ends_as=RunState.FAILED,
            failure_class=FailureClass.ENVIRONMENT,
            details={"cluster": cluster.name},
        )
    allowed = allowed_in(await projects.find_clusters(session, run.project_id))
    if allowed is not None and cluster.name not in allowed:
        return IncidentReport(
            kind="cluster_not_allowed",
            message="The project may not use the cluster that the run was to use any more. Submit "
            "it for another one, or ask a platform administrator to allow it.",
            ends_as=RunState.FAILED,
            failure_class=FailureClass.POLICY,
            details={"cluster": cluster.name},
        )
    if lost_inputs:
        return IncidentReport(
            kind="inputs_lost",
            message="The object store no longer has all that the run reads. An operator restores "
            "the objects; then submit it again.",
            ends_as=RunState.FAILED,
            failure_class=FailureClass.DATA,
            details={"objects": [format_digest(sha256) for sha256 in lost_inputs]},
        )
    return None


async def _inputs_of(database: Database, project_id: ProjectId, spec: RunSpec) -> Sequence[bytes]:
    """At most `MAX_ASKED` digests of objects, each once."""
    wanted: dict[bytes, None] = {}
    if spec.code is not None and spec.code.pack_sha256 is not None:
        wanted[parse_digest(spec.code.pack_sha256)] = None
    if spec.datasets:
        async with database.read() as session:
            wanted |= dict.fromkeys(await _files_bound(session, project_id, spec))
    return list(wanted)[:MAX_ASKED]


async def _files_bound(
    session: ReadSession, project_id: ProjectId, spec: RunSpec
) -> Sequence[bytes]:
    files: dict[bytes, None] = {}
    for binding in spec.datasets:
        if len(files) < MAX_ASKED:
            row = await data.find_manifest(session, project_id, parse_digest(binding.digest))
            assert row is not None  # a run is refused without the versions that it binds
            files |= dict.fromkeys(_files_of(row))
    return list(files)


def _files_of(row: ManifestRow) -> Iterator[bytes]:
    for entry in read_manifest(decode_strictly(row.canonical)).files:
        yield parse_digest(entry.sha256)
