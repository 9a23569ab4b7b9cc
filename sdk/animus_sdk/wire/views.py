"""What the gateway answers, as far as the SDK reads it. Times are RFC 3339 text, digests
`sha256:<hex>`, ids UUIDs; members that are not named here stay in the document."""

from __future__ import annotations

from typing import Any, TypedDict

from animus_sdk.wire.question_views import Question


class WhoAmI(TypedDict):
    principal_id: str
    person_id: str
    kind: str
    name: str
    platform_admin: bool


class Principal(TypedDict):
    id: str
    kind: str
    name: str
    display_name: str
    person_id: str
    platform_admin: bool
    created_at: str
    disabled_at: str | None


class MailAddress(TypedDict):
    person_id: str
    name: str
    address: str | None


class Token(TypedDict):
    id: str
    principal_id: str
    kind: str
    name: str
    hint: str
    created_at: str
    expires_at: str
    revoked_at: str | None
    secret: str | None
    """There once, in the answer that made the token."""


class Agent(TypedDict):
    """Of a cluster: when it was last heard of, None if never."""

    state: str
    seen_at: str | None
    version: str | None


class Cluster(TypedDict):
    id: str
    name: str
    executor: str
    runtime: str
    host: str
    gives_secrets: bool
    switches_egress: bool
    result_key_id: str
    created_at: str
    retired_at: str | None
    agent: Agent | None
    """None of a retired cluster."""


class ResourceUse(TypedDict):
    resource: str
    used: str
    limit: str | None


class Limits(TypedDict):
    """A project's quota, or a cluster's capacity. What is absent is unlimited."""

    revision: int
    limits: dict[str, str | int]
    use: list[ResourceUse]
    reason: str
    set_by: str | None
    set_at: str | None


class RegisteredCluster(TypedDict):
    cluster: Cluster
    token: Token


class Project(TypedDict):
    id: str
    name: str
    description: str
    allows_production: bool
    created_at: str


class ProjectClusters(TypedDict):
    revision: int
    clusters: list[str] | None
    """By name; None is every cluster."""
    reason: str
    set_at: str | None


class RoleBinding(TypedDict):
    id: str
    principal_id: str
    principal: str
    kind: str
    role: str
    created_at: str


class Change(TypedDict):
    id: str
    kind: str
    subject: dict[str, Any]
    reason: str
    state: str
    requested_by: str
    created_at: str
    expires_at: str


class Upload(TypedDict):
    """A presigned PUT. The URL is a secret."""

    sha256: str
    size: int
    url: str
    headers: dict[str, str]


class Download(TypedDict):
    """A presigned GET. The URL is a secret."""

    sha256: str
    size: int
    url: str


class StoreCheck(TypedDict):
    content: str
    upload: Upload
    download: Download | None
    """None until the content was uploaded."""


class FileDownload(TypedDict):
    path: str
    download: Download


class Dataset(TypedDict):
    id: str
    name: str
    description: str
    created_at: str


class DatasetVersion(TypedDict):
    id: str
    dataset_id: str
    ordinal: int
    digest: str
    files: int
    total_bytes: int
    created_at: str


class DatasetUpload(TypedDict):
    id: str
    digest: str
    uploads: list[Upload]
    already_stored: int
    version: DatasetVersion | None


class Source(TypedDict):
    id: str
    pack_sha256: str
    commit: str
    state: str


class DeclaredSource(TypedDict):
    id: str
    source: Source | None
    upload: Upload | None


class Environment(TypedDict):
    id: str
    name: str
    version: int
    document: dict[str, Any]
    created_at: str


class Lock(TypedDict):
    id: str
    environment_id: str
    digest: str
    document: dict[str, Any]
    created_at: str


class CheckedPipeline(TypedDict):
    digest: str
    spec: dict[str, Any]


class Pipeline(TypedDict):
    digest: str
    name: str
    spec: dict[str, Any]
    created_at: str


class PolicyVersion(TypedDict):
    id: str
    policy: str
    version: int
    digest: str
    state: str
    document: dict[str, Any]
    created_at: str


class Policy(TypedDict):
    id: str
    name: str
    versions: list[PolicyVersion]


class Run(TypedDict):
    id: str
    project_id: str
    name: str
    classification: str
    pipeline: str
    state: str
    priority: str
    waiting_for: str | None
    since: str
    deadline: str | None
    generation: int
    plan_digest: str | None
    failure_class: str | None
    failure_code: str | None
    requester: str
    labels: dict[str, str]
    reason: str
    ticket: str
    created_at: str
    ended_at: str | None


class RunPage(TypedDict):
    runs: list[Run]
    next_before: str | None


class FoundRuns(TypedDict):
    runs: list[Run]
    more: bool


class Usage(TypedDict):
    """What an attempt took; None is unknown, and `unknown` says why under its name."""

    cpu_milliseconds: int | None
    peak_memory_bytes: int | None
    bytes_in: int | None
    bytes_out: int | None
    unknown: dict[str, str]


class Attempt(TypedDict):
    step: str
    number: int
    outcome: str | None
    failure_class: str | None
    failure_code: str | None
    message: str
    exit_code: int | None
    opened_at: str
    closed_at: str | None
    posture: dict[str, Any] | None
    usage: Usage | None


class Step(TypedDict):
    name: str
    state: str
    after: list[str]
    attempts: list[Attempt]


class Incident(TypedDict):
    kind: str
    message: str
    created_at: str


class Place(TypedDict):
    """Of a run that waits for resources, in the queue."""

    run_id: str
    run: str
    reason: str
    explanation: str
    position: int
    length: int
    priority: str
    enqueued_at: str


class RunDetail(Run):
    cancel_requested: bool
    spec: dict[str, Any]
    steps: list[Step]
    incidents: list[Incident]
    queue: Place | None
    explanation: str | None
    """Why nothing happens, where more is known than `waiting_for` says."""
    cluster: str
    trigger: dict[str, str] | None
    """What started it, as its client said: a claim."""
    questions: list[Question]
    """Of those who decide, in order of asking."""


class Plan(TypedDict):
    generation: int
    plan_digest: str
    document: dict[str, Any]
    created_at: str


class ComparedPlan(TypedDict):
    plan_digest: str
    run_id: str | None
    run: str | None


class ItemChange(TypedDict):
    item: str
    before: str | None
    after: str | None


class PartComparison(TypedDict):
    part: str
    changes: list[ItemChange]
    """The first ones; `changed` counts all."""
    changed: int
    same: int


class PlanComparison(TypedDict):
    before: ComparedPlan | None
    after: ComparedPlan
    parts: list[PartComparison]
    changed: int
    same: int


class Limitation(TypedDict):
    code: str
    subject: str
    explanation: str


class Missing(TypedDict):
    what: str
    name: str
    todo: str


class Resources(TypedDict):
    millicores: int
    memory: int
    storage: int
    gpus: int


class Simulation(TypedDict):
    order: list[str]
    waves: list[list[str]]
    widest: int
    worst_case_attempts: int
    worst_case_seconds: float
    peak: Resources


class GateRule(TypedDict):
    name: str
    role: str
    quorum: int
    deadline_seconds: int


class Approval(TypedDict):
    rule: GateRule
    approvers: list[str]


class Preview(TypedDict):
    plan_digest: str
    effect: str
    plan: dict[str, Any]
    simulation: Simulation
    approvals: list[Approval]
    limitations: list[Limitation]
    missing: list[Missing]
    digest_is_expected: bool | None


class Withdrawal(TypedDict):
    reason: str
    principal: str
    withdrawn_at: str
    audit_event_id: str


class Decision(TypedDict):
    id: str
    gate_id: str
    verdict: str
    reason: str
    principal_id: str
    principal: str
    plan_digest: str
    decided_at: str
    meaning: str | None
    review_digest: str | None
    audit_event_id: str | None
    withdrawal: Withdrawal | None
    in_place_of: str | None


class Delegation(TypedDict):
    id: str
    role: str
    delegator: str
    delegate: str
    until: str
    reason: str
    created_at: str
    revoked_at: str | None


class DelegationPage(TypedDict):
    delegations: list[Delegation]
    next_before: str | None


class StandIn(TypedDict):
    id: str
    delegator: str
    until: str


class DecisionRecord(TypedDict):
    decision: Decision
    gate: str
    run_id: str
    run: str
    generation: int


class DecisionPage(TypedDict):
    decisions: list[DecisionRecord]
    next_before: str | None


class Gate(TypedDict):
    id: str
    run_id: str
    run: str
    generation: int
    name: str
    rule: GateRule
    plan_digest: str
    opened_at: str
    deadline: str
    closing: str | None
    closed_at: str | None
    decisions: list[Decision]
    review_digest: str | None
    stand_ins: list[StandIn]


class ReviewListing(TypedDict):
    """With `digest` of the whole list where not all of it is shown."""

    title: str
    total: int
    shown: list[dict[str, str]]


class ReviewSection(TypedDict):
    """Items have a `label`, and as they need it `value`, `before`, `after`, `note`."""

    name: str
    title: str
    items: list[dict[str, str]]
    listings: list[ReviewListing]


class ReviewDocument(TypedDict):
    project_id: str
    run_id: str
    gate_id: str
    generation: int
    plan_digest: str
    sections: list[ReviewSection]


class NewerRun(TypedDict):
    name: str
    classification: str
    state: str
    created_at: str


class ReviewBeside(TypedDict):
    as_of: str
    closing: str | None
    is_stale: bool
    run_state: str
    run_generation: int
    decisions: list[Decision]
    questions: list[Question]
    newer_runs: list[NewerRun]


class ReviewAnswer(TypedDict):
    review_digest: str
    canonical: str
    beside: ReviewBeside


class Artifact(TypedDict):
    id: str
    run_id: str
    step: str
    name: str
    kind: str
    form: str
    media_type: str
    sha256: str
    size: int
    total_bytes: int
    usable: bool
    origin: str
    created_at: str


class ArtifactPage(TypedDict):
    artifacts: list[Artifact]
    next_before: str | None


class DeclaredArtifact(TypedDict):
    artifact_id: str
    upload: Upload | None


class ArtifactDownload(TypedDict):
    download: Download
    files: list[FileDownload]
    """For a directory: its files; `download` is its manifest then."""


class MetricPoint(TypedDict):
    name: str
    step_number: int
    value: float
    step: str


class Accepted(TypedDict):
    accepted: int


class AuditEvent(TypedDict):
    index: int
    id: str
    time: str
    action: str
    result: str
    actor_id: str | None
    actor_kind: str
    subjects: dict[str, str]
    payload: dict[str, Any] | None


class AuditPage(TypedDict):
    events: list[AuditEvent]
    next_after: int


class StepInput(TypedDict):
    name: str
    kind: str
    files: list[FileDownload]


class StepInputs(TypedDict):
    run_id: str
    step: str
    attempt: int
    parameters: dict[str, Any]
    inputs: list[StepInput]
    source: Download | None
    commit: str | None
    source_path: str | None


class StepUploads(TypedDict):
    uploads: list[Upload]
    """For the objects that the store lacks."""
