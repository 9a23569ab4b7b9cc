"""What a step is given to read, as presigned downloads: for the step, and for who runs it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from animus.domain.digests import Digest, parse_digest
from animus.domain.errors import NotFound
from animus.domain.ids import AttemptId, ProjectId, RunId
from animus.domain.work_orders import Assignment
from animus.ports import ObjectStore
from animus.services.blobs import ObjectDownload, download_of
from animus.services.calls import Call, record
from animus.services.datasets import FileDownload, manifest_downloads
from animus.services.parsed import assignment_of
from animus.services.runs import get_row
from animus.store import data, execution
from animus.store.database import ReadSession, UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInput:
    name: str
    kind: str
    digest: str
    """Of the file, or of the manifest: what the plan names it by."""
    files: tuple[FileDownload, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInputs:
    inputs: tuple[StepInput, ...]
    source: ObjectDownload | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptInputs:
    """All that one attempt was given, but its secrets and its tokens."""

    attempt_id: AttemptId
    assignment: Assignment
    given: StepInputs


async def issue_attempt_inputs(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    run_id: RunId,
    *,
    step: str,
    number: int,
    store: ObjectStore,
) -> AttemptInputs:
    """For a member of the project who runs the step elsewhere. That it was issued is recorded.

    Raises `NotFound` for a run, or an attempt, that there is not.
    """
    await get_row(uow, project_id, run_id)
    attempt = await execution.find_attempt(uow, project_id, run_id, step=step, number=number)
    if attempt is None:
        raise NotFound("attempt", f"{step}/{number}")
    order = await execution.find_order(uow, project_id, attempt.id)
    assert order is not None  # a foreign key says so
    assignment = assignment_of(order.order.assignment)
    given = await read_inputs(uow, project_id, assignment, store=store)
    record(
        uow, call, "step.download_issued",
        project_id=project_id, subjects={"run": run_id, "attempt": attempt.id},
        payload={"step": step, "attempt": number},
    )  # fmt: skip
    return AttemptInputs(attempt_id=AttemptId(attempt.id), assignment=assignment, given=given)


async def read_inputs(
    session: ReadSession, project_id: ProjectId, assignment: Assignment, *, store: ObjectStore
) -> StepInputs:
    """Presigned GETs for what the step reads, and for nothing else."""
    inputs = []
    for assigned in assignment.inputs:
        digest = parse_digest(assigned.digest)
        files: Sequence[FileDownload]
        if assigned.kind == "manifest":
            files = await manifest_downloads(session, project_id, digest, store=store)
        else:
            files = [
                FileDownload(path="", download=await _object(session, project_id, digest, store))
            ]
        inputs.append(
            StepInput(
                name=assigned.name, kind=assigned.kind, digest=assigned.digest, files=tuple(files)
            )
        )
    source = None
    if assignment.code is not None:
        digest = parse_digest(assignment.code.pack_sha256)
        source = await _object(session, project_id, digest, store)
    return StepInputs(inputs=tuple(inputs), source=source)


async def _object(
    session: ReadSession, project_id: UUID, sha256: Digest, store: ObjectStore
) -> ObjectDownload:
    blobs = await data.find_blobs(session, project_id, [sha256])
    return download_of(store, ProjectId(project_id), blobs[sha256])
