"""Bodies and views of runs, plans, gates, artifacts, telemetry and audit events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from animus.domain.code_refs import CodeRef
from animus.domain.digests import Digest
from animus.domain.environment_locks import EnvironmentLock
from animus.domain.ids import DatasetVersionId, LockId
from animus.domain.limitations import EXPLANATIONS
from animus.domain.plans import PlanDocument
from animus.domain.queues import Priority
from animus.domain.run_specs import Classification
from animus.domain.runs import FailureClass, RunState, WaitingFor
from animus.domain.triggers import Trigger
from animus.domain.verdicts import Effect, GateRule
from animus.ledger.leaves import Result
from animus.services.audit_events import BEFORE_THE_FIRST
from animus.services.previews import Preview
from animus.services.run_details import RunDetail
from animus.services.run_requests import DatasetReference, LockReference, RunRequest
from animus.services.run_searches import LAST
from api.schemas.data import DownloadOut, FileDownloadOut, UploadOut
from api.schemas.fields import (
    Body,
    DigestIn,
    DigestOut,
    MediaType,
    Name,
    ObjectSize,
    PageLimit,
    Sentence,
    View,
)
from api.schemas.questions import QuestionOut
from api.schemas.queues import PlaceOut

Label = Annotated[str, StringConstraints(max_length=256)]
ArtifactName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/-]{0,254}$")]
MetricName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./ -]{0,199}$")]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
StepNumber = Annotated[int, Field(ge=0, le=2**53 - 1, strict=True)]


class DatasetRef(Body):
    """One of: `version_id`; `digest`; `name` with `version` (the newest, if it is left out)."""

    version_id: UUID | None = None
    digest: DigestIn | None = None
    name: Name | None = None
    version: Annotated[int, Field(ge=1, le=2**31 - 1, strict=True)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> DatasetRef:
        said = [self.version_id, self.digest, self.name]
        if sum(1 for one in said if one is not None) != 1:
            raise ValueError("Name one of: version_id, digest, name.")
        if self.version is not None and self.name is None:
            raise ValueError("'version' goes with 'name'.")
        return self

    def reference(self) -> DatasetReference:
        return DatasetReference(
            version_id=DatasetVersionId(self.version_id) if self.version_id else None,
            digest=Digest(self.digest) if self.digest else None,
            name=self.name,
            ordinal=self.version,
        )


class LockRef(Body):
    """One of: `id`; `digest`; in a preview also `document`, the lock itself."""

    id: UUID | None = None
    digest: DigestIn | None = None
    document: EnvironmentLock | None = None

    @model_validator(mode="after")
    def _one_way(self) -> LockRef:
        said = [self.id, self.digest, self.document]
        if sum(1 for one in said if one is not None) != 1:
            raise ValueError("Name one of: id, digest, document.")
        return self

    def reference(self) -> LockReference:
        return LockReference(
            lock_id=LockId(self.id) if self.id else None,
            digest=Digest(self.digest) if self.digest else None,
            document=self.document,
        )


class RunIn(Body):
    classification: Classification = Classification.DEVELOPMENT
    pipeline: dict[str, Any] | None = None
    pipeline_digest: DigestIn | None = None
    datasets: Annotated[dict[Name, DatasetRef], Field(max_length=500)] = {}
    code: CodeRef | None = None
    environment_lock: LockRef | None = None
    parameters: dict[str, Any] = {}
    labels: Annotated[dict[Name, Label], Field(max_length=64)] = {}
    reason: Sentence = ""
    ticket: Annotated[str, StringConstraints(max_length=200)] = ""
    cluster: Name | None = None
    expected_plan_digest: DigestIn | None = None
    not_secret: Annotated[list[str], Field(max_length=50)] = []

    @model_validator(mode="after")
    def _one_pipeline(self) -> RunIn:
        if (self.pipeline is None) == (self.pipeline_digest is None):
            raise ValueError("Name one of: pipeline, pipeline_digest.")
        return self

    def request(self) -> RunRequest:
        lock = self.environment_lock
        return RunRequest(
            classification=self.classification,
            pipeline=self.pipeline,
            pipeline_digest=Digest(self.pipeline_digest) if self.pipeline_digest else None,
            datasets={alias: ref.reference() for alias, ref in self.datasets.items()},
            code=self.code,
            environment_lock=lock.reference() if lock else None,
            parameters=self.parameters,
            labels=self.labels,
            reason=self.reason,
            ticket=self.ticket,
            cluster=self.cluster,
            expected_plan_digest=(
                Digest(self.expected_plan_digest) if self.expected_plan_digest else None
            ),
            not_secret=frozenset(self.not_secret),
        )


class SubmitRun(RunIn):
    expected_plan: dict[str, Any] | None = None
    """The plan that a preview showed; with it, drift is explained by a difference."""
    priority: Priority = Priority.NORMAL
    """Among the project's runs that wait for resources; `high` is for its administrators."""
    trigger: Trigger | None = None
    """What started it, as the client says; no part of the plan."""


class RunOut(View):
    id: UUID
    project_id: UUID
    name: str
    classification: Classification
    pipeline: str
    pipeline_digest: DigestOut
    run_spec_digest: DigestOut
    state: RunState
    priority: Priority
    waiting_for: WaitingFor | None
    since: datetime
    deadline: datetime | None
    generation: int
    plan_digest: DigestOut | None
    failure_class: FailureClass | None
    failure_code: str | None
    requested_by: UUID
    requester: str
    requester_person_id: UUID
    labels: Mapping[str, str]
    reason: str
    ticket: str
    created_at: datetime
    ended_at: datetime | None


class RunPage(View):
    runs: list[RunOut]
    next_before: UUID | None
    """Give it as `before` for the next page; null at the end."""


class RunQuery(Body):
    """How runs are listed; `before` is the `next_before` of the page before."""

    state: Annotated[list[RunState], Field(max_length=9)] = []
    waiting_for: Annotated[list[WaitingFor], Field(max_length=len(WaitingFor))] = []
    classification: Classification | None = None
    pipeline: Name | None = None
    requested_by: UUID | None = None
    before: UUID | None = None
    limit: PageLimit = 50


class FindQuery(Body):
    reference: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9@:._-]{1,100}$")] = LAST


class FoundRunsOut(View):
    """None where nothing is meant; several where it is ambiguous, the newest first."""

    runs: tuple[RunOut, ...]
    more: bool


class PlanOut(View):
    generation: int
    plan_digest: DigestOut
    document: PlanDocument
    created_at: datetime


class LimitationOut(View):
    code: str
    subject: str
    explanation: str


class MissingOut(View):
    what: str
    name: str
    todo: str


class ResourcesOut(View):
    millicores: int
    memory: int
    storage: int
    gpus: int


class SimulationOut(View):
    order: tuple[str, ...]
    waves: tuple[tuple[str, ...], ...]
    widest: int
    worst_case_attempts: int
    worst_case_seconds: float
    peak: ResourcesOut


class ApprovalOut(View):
    rule: GateRule
    approvers: tuple[str, ...]


class PreviewOut(View):
    plan_digest: DigestOut
    effect: Effect
    plan: PlanDocument
    simulation: SimulationOut
    approvals: tuple[ApprovalOut, ...]
    limitations: list[LimitationOut]
    missing: tuple[MissingOut, ...]
    digest_is_expected: bool | None

    @classmethod
    def of(cls, preview: Preview) -> PreviewOut:
        document = preview.plan.document
        return cls(
            plan_digest=preview.plan.digest,
            effect=document.verdict.effect,
            plan=document,
            simulation=SimulationOut.model_validate(preview.simulation),
            approvals=tuple(ApprovalOut.model_validate(one) for one in preview.approvals),
            limitations=[
                LimitationOut(
                    code=one.code, subject=one.subject, explanation=EXPLANATIONS[one.code]
                )
                for one in document.body.limitations
            ],
            missing=tuple(MissingOut.model_validate(one) for one in preview.missing),
            digest_is_expected=preview.digest_is_expected,
        )


class CancelRun(Body):
    reason: Sentence = ""


class UsageOut(View):
    """What could not be had is null, and `unknown` says why under its name."""

    cpu_milliseconds: int | None
    """Processor time of the step's container, of all its processes together."""
    peak_memory_bytes: int | None
    """The most that was charged to its limit at once: file pages and a sandbox's own need too."""
    bytes_in: int | None
    """Inputs and source."""
    bytes_out: int | None
    """Declared outputs, without the log."""
    unknown: dict[str, str]


class AttemptOut(View):
    step: str
    number: int
    outcome: str | None
    failure_class: FailureClass | None
    failure_code: str | None
    message: str
    exit_code: int | None
    opened_at: datetime
    closed_at: datetime | None
    posture: dict[str, Any] | None
    """How main was confined, as the agent saw it: its signed claim."""
    usage: UsageOut | None
    """What it took, as the agent measured it: its signed claim."""


class StepOut(View):
    name: str
    state: str
    after: tuple[str, ...]
    attempts: tuple[AttemptOut, ...]


class IncidentOut(View):
    kind: str
    message: str
    ends_as: RunState | None
    details: dict[str, Any]
    created_at: datetime


class DriftOut(View):
    """Decisions of this generation are void: what would have run differs from what was approved."""

    generation: int
    plan_digest: DigestOut
    difference: list[dict[str, Any]]
    created_at: datetime


class RunDetailOut(RunOut):
    cancel_requested: bool
    spec: dict[str, Any]
    steps: tuple[StepOut, ...]
    incidents: tuple[IncidentOut, ...]
    drifts: tuple[DriftOut, ...]
    queue: PlaceOut | None
    """Why it is not let in, while it waits for resources."""
    explanation: str | None
    """Why nothing happens, and what to do, where more is known than `waiting_for` says."""
    cluster: str
    trigger: Trigger | None
    """What started it, as its client said: a claim."""
    questions: tuple[QuestionOut, ...]
    """Of those who decide, in order of asking, with their answers."""

    @classmethod
    def of(cls, detail: RunDetail) -> Self:
        return cls(
            **dict(RunOut.model_validate(detail.run)),
            cancel_requested=detail.cancel_requested,
            spec=detail.spec,
            steps=tuple(StepOut.model_validate(step) for step in detail.steps),
            incidents=tuple(IncidentOut.model_validate(one) for one in detail.incidents),
            drifts=tuple(DriftOut.model_validate(one) for one in detail.drifts),
            queue=PlaceOut.model_validate(detail.place) if detail.place is not None else None,
            explanation=detail.explanation,
            cluster=detail.cluster,
            trigger=detail.trigger,
            questions=tuple(QuestionOut.model_validate(one) for one in detail.questions),
        )


class DeclareArtifact(Body):
    run_id: UUID
    name: ArtifactName
    kind: Name = "file"
    media_type: MediaType = "application/octet-stream"
    sha256: DigestIn
    size: ObjectSize


class DeclaredArtifactOut(View):
    artifact_id: UUID
    upload_url: str | None
    """Null where the store has this content already: commit at once."""
    upload: UploadOut | None
    expires_at: datetime


class ArtifactOut(View):
    id: UUID
    run_id: UUID
    step: str
    name: str
    kind: str
    form: str
    media_type: str
    sha256: DigestOut
    size: int
    total_bytes: int
    verified_by: str
    usable: bool
    origin: str
    created_at: datetime


class ArtifactPage(View):
    artifacts: list[ArtifactOut]
    next_before: UUID | None


class ArtifactDownloadOut(View):
    download_url: str
    download: DownloadOut
    files: Sequence[FileDownloadOut]
    """For a directory: its files. `download` is its manifest then."""


class MetricPointIn(Body):
    name: MetricName
    step_number: StepNumber = 0
    value: Number


class LogMetrics(Body):
    points: Annotated[list[MetricPointIn], Field(min_length=1, max_length=1_000)]
    step: Annotated[str, StringConstraints(max_length=63)] = ""


class MetricPointOut(View):
    name: str
    step_number: int
    value: float
    step: str


class MessageIn(Body):
    level: Literal["debug", "info", "warning", "error"] = "info"
    message: Annotated[str, StringConstraints(min_length=1, max_length=4_000)]
    fields: dict[str, Any] = {}


class LogMessages(Body):
    messages: Annotated[list[MessageIn], Field(min_length=1, max_length=100)]
    step: Annotated[str, StringConstraints(max_length=63)] = ""


class MessageOut(View):
    id: UUID
    level: str
    message: str
    fields: dict[str, Any]
    step: str
    recorded_at: datetime


class Accepted(View):
    accepted: int


class AuditEventOut(View):
    index: int
    id: UUID
    time: datetime
    action: str
    result: str
    actor_id: UUID | None
    actor_kind: str
    project_id: UUID | None
    subjects: Mapping[str, str]
    request_id: str
    payload: Mapping[str, Any] | None
    """Null where it was erased; the salted hash in the leaf stays."""
    leaf: str
    """The canonical bytes that the log hashes, in base64."""


class AuditPage(View):
    events: list[AuditEventOut]
    next_after: int


class PlatformEventQuery(Body):
    """Which events; `after` is the `next_after` of the page before."""

    action: Annotated[str, StringConstraints(pattern=r"^[a-z_]+\.[a-z_]+$")] | None = None
    actor_id: UUID | None = None
    result: Result | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    after: Annotated[int, Field(ge=BEFORE_THE_FIRST, le=2**63 - 1)] = BEFORE_THE_FIRST
    limit: PageLimit = 100


class EventQuery(PlatformEventQuery):
    run_id: UUID | None = None
