"""Work orders, assignments and attempt results: what control and agent say to each other, signed.

A work order is the signed permission to execute one attempt on one cluster. The assignment is
the work itself, bound to the order by its digest. The result is the agent's signed answer.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from animus.domain.attempts import AttemptOutcome
from animus.domain.canonical import canonical_bytes
from animus.domain.digests import Digest, digest_of_canonical
from animus.domain.documents import Bool, DigestText, Document, Int, Name, SparseDocument, Text
from animus.domain.errors import Refused
from animus.domain.pipelines import Step
from animus.domain.placements import Placement
from animus.domain.runs import FailureClass

ORDER_TAG = "animus.work-order/v1"
ASSIGNMENT_TAG = "animus.step/v1"
SWITCHED = "switched"
"""As a posture's network: main had what its plan grants, and not what fetch and collect have."""
RESULT_TAG = "animus.attempt-result/v1"
STOP_TAG = "animus.stop-receipt/v1"

MAX_OUTPUTS = 64


class OrderRefused(Refused):
    code = "order_refused"


class ResultRefused(Refused):
    code = "result_refused"


class WorkOrder(Document):
    schema_: Annotated[Literal["animus.work-order/v1"], Field(alias="schema")] = (
        "animus.work-order/v1"
    )
    order_id: str
    project_id: str
    run_id: str
    step: Name
    attempt: Annotated[Int, Field(ge=1)]
    cluster: Name
    plan_digest: DigestText
    step_digest: DigestText
    not_before: AwareDatetime
    not_after: AwareDatetime


class AssignedInput(Document):
    name: Name
    source: Literal["dataset", "artifact"]
    kind: Literal["file", "manifest"]
    digest: DigestText
    """Of the manifest's canonical bytes with its tag, or SHA-256 of the file."""


class AssignedCode(Document):
    commit: str
    object_format: Literal["sha1", "sha256"]
    path: str
    pack_sha256: DigestText


class Assignment(SparseDocument):
    """Everything a step is given; content only, so equal work has an equal digest."""

    schema_: Annotated[Literal["animus.step/v1"], Field(alias="schema")] = "animus.step/v1"
    step: Step
    inputs: tuple[AssignedInput, ...]
    code: AssignedCode | None = None
    parameters: dict[str, Any]
    sandbox: Name | None = None
    """The runtime that the plan promises between main and the host's kernel; None: it promises
    none."""
    placement: Placement | None = None
    """What the plan asks of the cluster's nodes; None too where there are none to choose."""
    egress: Literal["switched"] | None = None
    """Switched: the plan promises that main has not the network of fetch and collect."""
    image_digests: tuple[DigestText, ...] | None = None
    """Of main's image by its lock: index, manifest, config. A kubelet reports any of them."""


class ResultOutput(Document):
    name: Name
    kind: Literal["file", "manifest"]
    sha256: DigestText
    """Of the file's bytes, or of the manifest's canonical bytes (without tag)."""
    size: Annotated[Int, Field(ge=0)]
    """Bytes of that object."""


class ResultLog(Document):
    sha256: DigestText
    size: Annotated[Int, Field(ge=0)]
    truncated: Bool


class Failure(Document):
    failure_class: FailureClass
    code: Name
    message: Text
    """Plain words for the person who reads the run; no user data."""


class Posture(SparseDocument):
    """How main was really confined, as the agent saw it. Its claim, marked as such."""

    executor: Name
    engine: str
    runtime: str
    image: str
    """The digest of the image that ran, as the engine reported it."""
    user: str
    network: str
    read_only_root: Bool
    capabilities: tuple[str, ...]
    no_new_privileges: Bool
    seccomp: str
    memory_bytes: Int
    millicores: Int
    pids: Int
    placement: Placement | None = None
    """What main's pod had of the placement that was planned."""


class Usage(SparseDocument):
    """What an attempt took, as its executor measured it. The agent's claim.

    What could not be had is absent, and `unknown` says why under its name.
    """

    cpu_milliseconds: Annotated[Int, Field(ge=0)] | None = None
    """Processor time of main, of all its processes together."""
    peak_memory_bytes: Annotated[Int, Field(ge=0)] | None = None
    """The most that was charged to main's limit at once, with file pages and a sandbox's need."""
    bytes_in: Annotated[Int, Field(ge=0)] | None = None
    """Inputs and source that were fetched for main."""
    bytes_out: Annotated[Int, Field(ge=0)] | None = None
    """Declared outputs that were collected, without the log."""
    unknown: Annotated[dict[Name, Text], Field(max_length=16)] = {}


class AttemptResult(SparseDocument):
    schema_: Annotated[Literal["animus.attempt-result/v1"], Field(alias="schema")] = (
        "animus.attempt-result/v1"
    )
    order_digest: DigestText
    outcome: AttemptOutcome
    failure: Failure | None = None
    exit_code: Int | None = None
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime
    outputs: Annotated[tuple[ResultOutput, ...], Field(max_length=MAX_OUTPUTS)] = ()
    log: ResultLog | None = None
    posture: Posture | None = None
    usage: Usage | None = None
    """Absent where main never started or was stopped, and from agents that do not measure."""


class StopReceipt(Document):
    """The agent's word that nothing of an attempt is left on its cluster."""

    schema_: Annotated[Literal["animus.stop-receipt/v1"], Field(alias="schema")] = (
        "animus.stop-receipt/v1"
    )
    order_digest: DigestText
    stopped_at: AwareDatetime


def sealed(document: Document) -> bytes:
    """The canonical bytes that are signed and kept."""
    return canonical_bytes(document.content())


def order_digest(canonical: bytes) -> Digest:
    return digest_of_canonical(ORDER_TAG, canonical)


def assignment_digest(canonical: bytes) -> Digest:
    return digest_of_canonical(ASSIGNMENT_TAG, canonical)


def check_order_time(order: WorkOrder, now: datetime) -> None:
    """Raise `OrderRefused` outside the order's time; the caller's clock may differ by little."""
    if now < order.not_before:
        raise OrderRefused("The work order is not valid yet. Compare the clocks.")
    if now > order.not_after:
        raise OrderRefused("The work order has expired.")


def posture_fault(assignment: Assignment, result: AttemptResult) -> Failure | None:
    """Why a result can't stand for what was planned: main ran otherwise, by its own posture."""
    return (
        _sandbox_fault(assignment.sandbox, result)
        or _placement_fault(assignment, result)
        or _egress_fault(assignment, result)
        or _image_fault(assignment, result)
    )


def _placement_fault(assignment: Assignment, result: AttemptResult) -> Failure | None:
    """A result without a posture is of an attempt that never came to main, unless it succeeded."""
    posture = result.posture
    found = posture.placement if posture is not None else None
    if found == assignment.placement:
        return None
    if posture is None and result.outcome is not AttemptOutcome.SUCCEEDED:
        return None
    return Failure(
        failure_class=FailureClass.ENVIRONMENT,
        code="placement_changed",
        message="Main's pod was placed otherwise than the environment lock says: something in the "
        "cluster took away what the agent asked for. Look at its admission webhooks.",
    )


def _egress_fault(assignment: Assignment, result: AttemptResult) -> Failure | None:
    """A result without a posture is of an attempt that never came to main, unless it succeeded."""
    observed = result.posture.network if result.posture is not None else None
    if assignment.egress is None or observed == SWITCHED:
        return None
    if observed is None and result.outcome is not AttemptOutcome.SUCCEEDED:
        return None
    return Failure(
        failure_class=FailureClass.ENVIRONMENT,
        code="egress_not_switched",
        message="The plan promises that main has not the network of fetch and collect, and nobody "
        "saw that it was taken away. Set agent.kubernetes.egress, or register the cluster without.",
    )


def _image_fault(assignment: Assignment, result: AttemptResult) -> Failure | None:
    """Nothing can be said of an image that never ran, or that no lock knows; but what succeeded
    did run."""
    ran = result.posture.image if result.posture is not None else ""
    accepted = assignment.image_digests
    if accepted is None or ran in accepted:
        return None
    if not ran and result.outcome is not AttemptOutcome.SUCCEEDED:
        return None
    return Failure(
        failure_class=FailureClass.ENVIRONMENT,
        code="image_changed",
        message=f"Another image ran than the environment lock names: {ran or 'nobody saw which'}. "
        "Look at the cluster's registry and its mirrors.",
    )


def _sandbox_fault(promised: str | None, result: AttemptResult) -> Failure | None:
    """Why a result can't stand for a plan that promised this sandbox: main ran without it.

    A result without a posture is of an attempt that never came to main, unless it succeeded.
    """
    observed = result.posture.runtime if result.posture is not None else None
    if promised is None or observed == promised:
        return None
    if observed is None and result.outcome is not AttemptOutcome.SUCCEEDED:
        return None
    seen = observed or "what nobody saw"
    return Failure(
        failure_class=FailureClass.ENVIRONMENT,
        code="sandbox_missing",
        message=f"The plan promises {promised}, and main ran under {seen}. Mend the runtime, "
        "or run it on a cluster that is registered without a sandbox.",
    )
