"""Bodies and views of the data plane: claims of agents, inputs and outputs of attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

from animus.domain import patterns
from animus.domain.pipelines import MAX_PORTS
from animus.services.step_inputs import StepInput
from api.schemas.data import DownloadOut, FileDownloadOut, UploadOut
from api.schemas.fields import Body, DigestIn, Name, ObjectSize, View

PRINTABLE = r"^[ -~]+$"
"""Kind and name of something on a cluster."""
Base64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=100_000)]


class ClaimAttempt(Body):
    order: Base64
    signature: Base64


class ClaimOut(View):
    attempt_id: UUID
    run_id: UUID
    assignment: str
    """Canonical bytes in base64; their digest is the order's `step_digest`."""
    attempt_token: str
    run_token: str | None
    project_id: UUID
    first: bool
    claimed_at: datetime
    max_log_bytes: int


class FindSettled(Body):
    attempt_ids: Annotated[list[UUID], Field(min_length=1, max_length=1_000)]


class SettledOut(View):
    settled: list[UUID]


class RecordRemoval(Body):
    removed: Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=PRINTABLE)]


class RemovalOut(View):
    cluster: str


class SendHeartbeat(Body):
    version: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PRINTABLE)]
    """The agent's own."""


class HeartbeatOut(View):
    cluster: str
    seen_at: datetime


class SecretReferenceIn(Body):
    name: Name
    secretRef: Annotated[str, StringConstraints(pattern=patterns.PATH, max_length=512)]


class RecordSecretAccess(Body):
    order_digest: DigestIn
    secrets: Annotated[list[SecretReferenceIn], Field(min_length=1, max_length=MAX_PORTS)]
    """All that the attempt's plan references, by name and reference."""


class SecretAccessOut(View):
    cluster: str
    first: bool
    """False where this attempt's access was on record before."""


class StepInputOut(View):
    name: str
    kind: str
    digest: str
    """Of the file, or of the manifest with its tag: as the plan has it."""
    files: list[FileDownloadOut]

    @classmethod
    def all_of(cls, inputs: Sequence[StepInput]) -> list[StepInputOut]:
        return [
            cls(name=i.name, kind=i.kind, digest=i.digest, files=FileDownloadOut.all_of(i.files))
            for i in inputs
        ]


class StepInputsOut(View):
    run_id: UUID
    step: str
    attempt: int
    parameters: dict[str, Any]
    inputs: list[StepInputOut]
    source: DownloadOut | None
    commit: str | None
    source_path: str | None


class AttemptInputsOut(StepInputsOut):
    """For a member who runs the step again elsewhere; there are no secrets in it."""

    attempt_id: UUID
    spec: dict[str, Any]
    """The step as its plan has it, in the explicit form."""
    sandbox: str | None
    """The runtime that the plan promises between main and the host's kernel."""


class WantedIn(Body):
    sha256: DigestIn
    size: ObjectSize


class RequestUploads(Body):
    objects: Annotated[list[WantedIn], Field(min_length=1, max_length=5_000)]


class UploadsOut(View):
    uploads: list[UploadOut]
    """For the objects that the store lacks."""
