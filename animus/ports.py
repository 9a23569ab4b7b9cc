"""Protocols of what has more than one real implementation, and the values that cross them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from animus.domain.canonical import JsonObject
from animus.domain.digests import Digest
from animus.domain.errors import AnimusError, Conflict, Unavailable
from animus.domain.ids import AttemptId, PrincipalId, ProjectId, RunId
from animus.domain.log_chunks import LogChunk
from animus.domain.policy_evaluation import RuleAnswer
from animus.domain.secrets import SecretPlace, SecretValue, StepSecret
from animus.domain.work_orders import (
    Assignment,
    Failure,
    Posture,
    ResultLog,
    ResultOutput,
    Usage,
    WorkOrder,
)


class ObjectStoreUnavailable(Unavailable):
    """No answer, or none in time: the same call may succeed later."""

    code = "object_store_unavailable"


class ObjectStoreMisconfigured(Unavailable):
    """The store answers and refuses us. Retryable: work waits for the operator's repair."""

    code = "object_store_misconfigured"


class ObjectStoreUnfit(AnimusError):
    """The store does not keep a promise that Animus rests on: nothing may start with it."""

    code = "object_store_unfit"


class ObjectMissing(Conflict):
    code = "object_missing"


class ObjectWrongSize(Conflict):
    code = "object_wrong_size"


class ObjectWrongDigest(Conflict):
    code = "object_wrong_digest"


class VerifiedBy(StrEnum):
    """Who computed the SHA-256 that an object's row claims."""

    STORE_PUT = "store-put"
    STORE_COPY = "store-copy"
    STREAM = "stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedPut:
    """Permission to upload exactly one content to one place. The URL is a secret.

    The uploader sends `headers` as they are, the announced content, and no other `x-amz-` header.
    """

    url: str
    headers: Mapping[str, str]
    expires_at: datetime
    method: str = "PUT"

    def __repr__(self) -> str:
        return _without_query(self.method, self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresignedGet:
    """Permission to download one version of one object. The URL is a secret."""

    url: str
    expires_at: datetime
    method: str = "GET"

    def __repr__(self) -> str:
        return _without_query(self.method, self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """What the store says about the newest version under a key."""

    size: int
    version_id: str | None
    sha256: Digest | None
    """The store's own digest over the whole object, where it computes one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectContent:
    """What reading every byte of a version showed."""

    sha256: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedObject:
    """A version whose size and SHA-256 are those that were announced."""

    version_id: str
    verified_by: VerifiedBy


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCapabilities:
    """What a probe saw the store do. Each is a promise some part of Animus rests on."""

    checks_put_checksum: bool
    """A body with another SHA-256 than the signed one is refused. Else `verify` reads all bytes."""
    checks_length: bool
    """A body with another length than the signed one is refused."""
    refuses_overwrite: bool
    """`if-none-match: *` is obeyed: a used URL writes nothing."""
    refuses_unsigned_copy: bool
    """A copy-source header that was not signed is refused or ignored, so that the holder of an
    upload URL can't have the store copy another project's object into his own."""
    versioning: bool
    """Writing again under a key keeps the version that was verified."""


class LogChunks(Protocol):
    """Lines of attempts that still run, for whoever follows them. Nothing in here is proof.

    Every coroutine may raise `ObjectStoreUnavailable` and `ObjectStoreMisconfigured`.
    """

    def presign_put(
        self, attempt_id: AttemptId, chunk: LogChunk, sha256: bytes, *, expires: timedelta
    ) -> PresignedPut:
        """For the attempt's agent: exactly these bytes, at this place, once."""

    async def list_chunks(self, attempt_id: AttemptId, *, since: int) -> Sequence[LogChunk]:
        """Those that begin there or later, in order: a thousand at most."""

    async def find_content(self, attempt_id: AttemptId, chunk: LogChunk) -> bytes | None:
        """Its lines; None where it has been removed."""

    async def list_attempts(self) -> Sequence[AttemptId]:
        """Whose chunks there are."""

    async def remove(self, attempt_id: AttemptId) -> None:
        """All chunks of an attempt. Idempotent."""


class ObjectStore(Protocol):
    """Content-addressed objects of projects. Bytes go between clients and store, not through us.

    Every coroutine may raise `ObjectStoreUnavailable` and `ObjectStoreMisconfigured`.
    """

    @property
    def log_chunks(self) -> LogChunks:
        """What attempts write while they run."""

    async def prepare(self) -> None:
        """Create the buckets that are missing. Idempotent; safe in several processes at once."""

    async def probe(self) -> StoreCapabilities:
        """Try the store's promises, and remember whether its checksums can be trusted.

        Raises `ObjectStoreUnfit` if Animus must not run on this store.
        """

    async def is_ready(self) -> bool:
        """Whether the store answers us in time. Never raises."""

    def presign_put(
        self, project_id: ProjectId, sha256: bytes, *, size: int, expires: timedelta
    ) -> PresignedPut:
        """For whoever uploads, at the public endpoint. Raises `TooLarge`."""

    def presign_get(
        self,
        project_id: ProjectId,
        sha256: bytes,
        *,
        version_id: str,
        expires: timedelta,
        filename: str | None = None,
    ) -> PresignedGet:
        """For whoever downloads, at the public endpoint; always as an attachment."""

    async def find_object(self, project_id: ProjectId, sha256: bytes) -> StoredObject | None:
        """What the store says it has. Proves nothing: see `verify`."""

    async def verify(self, project_id: ProjectId, sha256: bytes, *, size: int) -> VerifiedObject:
        """Commit an upload. Raises `ObjectMissing`, `ObjectWrongSize`, `ObjectWrongDigest`.

        Reads the whole object where the store's checksum is absent or not to be trusted.
        """

    async def get_bytes(
        self, project_id: ProjectId, sha256: bytes, *, version_id: str, limit: int
    ) -> bytes:
        """A small document, verified. Raises `ObjectMissing`, `ObjectWrongDigest`, `TooLarge`."""

    async def get_part(
        self, project_id: ProjectId, sha256: bytes, *, version_id: str, begin: int, size: int
    ) -> bytes:
        """So many bytes from there on, fewer at the end; not verified. Raises `ObjectMissing`."""

    async def stream_digest(
        self, project_id: ProjectId, sha256: bytes, *, version_id: str
    ) -> ObjectContent:
        """Read every byte and say what it is. Raises `ObjectMissing`."""

    async def discard(self, project_id: ProjectId, sha256: bytes, *, version_id: str) -> None:
        """Delete a version that no row names, such as an upload that failed `verify`. Idempotent.

        Until then its key is taken: overwriting is refused.
        """

    async def close(self) -> None:
        """Release connections and threads."""


class RuleJudge(Protocol):
    """Evaluates policy rules, bounded in time. Never raises for what a rule does."""

    def turn(self) -> AbstractAsyncContextManager[RuleJudge]:
        """A judge that answers at once, for who must not wait while holding locks.

        Raises `Unavailable` where no turn comes in time.
        """

    @property
    def library(self) -> str:
        """Name and version of the evaluator, kept with every verdict."""

    async def answer(self, plan: JsonObject, expressions: Sequence[str], /) -> Sequence[RuleAnswer]:
        """One answer for each expression, in order; an error or a timeout is an answer."""

    async def faults(self, expressions: Sequence[str], /) -> Sequence[str | None]:
        """For each expression what keeps it from being published, or None."""


class Signer(Protocol):
    """Holds one Ed25519 private key and never shows it."""

    @property
    def public_key(self) -> bytes:
        """32 raw bytes."""

    def sign(self, tag: str, canonical: bytes, /) -> bytes:
        """The signature over the tag and the canonical bytes."""


class SecretMissing(AnimusError):
    """The store has nothing there."""

    code = "secret_missing"


class SecretDenied(AnimusError):
    """The store answers, and does not let the agent read it."""

    code = "secret_denied"


class SecretUnfit(AnimusError):
    """What the store has there can't be given to a step."""

    code = "secret_unfit"


class SecretStoreUnavailable(Unavailable):
    """No answer, or none that can be used: the same call may succeed later."""

    code = "secret_store_unavailable"


class SecretStore(Protocol):
    """Where a cluster's secrets are kept, below a corner for each project. Read by agents alone."""

    async def read(self, place: SecretPlace, /) -> SecretValue:
        """The newest value. Raises `SecretMissing`, `SecretDenied`, `SecretUnfit`, and
        `SecretStoreUnavailable`, none of which holds anything of it."""

    async def close(self) -> None:
        """Release connections and threads."""


class WorkflowStatus(StrEnum):
    """How a run's workflow stands in Temporal."""

    RUNNING = "running"
    CLOSED = "closed"
    """It ended by itself: completed or failed."""
    TERMINATED = "terminated"
    CANCELED = "canceled"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSubject:
    """A run as its workflow is started for it: ids, and what operators search by."""

    run_id: RunId
    project_id: ProjectId
    project: str
    name: str
    classification: str
    state: str
    requested_by: PrincipalId


class RunWorkflows(Protocol):
    """The durable workflows behind runs. Every method may raise `Unavailable`."""

    async def start(self, subject: WorkflowSubject, /) -> None:
        """Start the workflow if it never ran. Leaves one that runs, or has closed, alone."""

    async def wake(self, subject: WorkflowSubject, /) -> None:
        """Start the workflow if it never ran, and signal it. Leaves a closed one alone."""

    async def restart(self, subject: WorkflowSubject, /) -> None:
        """Start it again although one of its id has closed; a running one is left alone."""

    async def status(self, run_id: RunId, /) -> tuple[WorkflowStatus, str]:
        """How it stands, and which execution says so (empty where there is none)."""

    async def continued_by(self, run_id: RunId, workflow_run_id: str, /) -> str:
        """The execution that this one says to continue (empty where it continues none)."""

    async def recently_closed(self, since: datetime, /) -> Sequence[RunId]:
        """Runs whose workflows closed since then, by Temporal's visibility store."""

    async def wake_queue(self) -> None:
        """Have the queue looked at: start its workflow if none runs, and signal it."""

    async def is_queue_running(self) -> bool: ...

    async def wake_notifications(self) -> None:
        """Have looked at whom to tell: start that workflow if none runs, and signal it."""

    async def is_notifying(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptTask:
    """A verified order with its work and its tokens: all that an executor is given."""

    attempt_id: AttemptId
    order: WorkOrder
    assignment: Assignment
    attempt_token: str = field(repr=False)
    """Of fetch and collect; main never sees it."""
    run_token: str | None = field(repr=False)
    """Of main, where the step has `telemetry`."""
    max_log_bytes: int
    secrets: tuple[StepSecret, ...] = ()
    """Of main alone, as the store has them now."""
    secrets_mark: str = ""
    """Another for every other value: what main was given is compared with it, without keeping it.
    Empty where the step has no secrets, or they can't be had."""
    secrets_failure: Failure | None = None
    """Why they can't be had: main is not started then. One that runs goes on without them."""

    @property
    def has_secrets(self) -> bool:
        return bool(self.assignment.step.secrets)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnd:
    """How an attempt ended; without a failure it succeeded."""

    finished_at: datetime
    failure: Failure | None = None
    exit_code: int | None = None
    started_at: datetime | None = None
    outputs: tuple[ResultOutput, ...] = ()
    log: ResultLog | None = None
    posture: Posture | None = None
    usage: Usage | None = None
    """Where main was started; what could not be measured is named in it."""


class ExecutionPhase(StrEnum):
    QUEUED = "queued"
    CLAIM = "claim"
    FETCH = "fetch"
    MAIN = "main"
    COLLECT = "collect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    phase: ExecutionPhase
    subject: str = ""
    """What an operator would look at: the container's or the Job's name."""
    log_offset: int = 0
    """How much of main's log has been handed on to whoever follows it."""


class StillThere(Unavailable):
    """Something of an attempt does not go away: its node is lost, or somebody holds it."""

    code = "attempt_still_there"


class Executor(Protocol):
    """Runs attempts on one kind of machinery, which outlives the agent.

    What it starts has names made from the attempt's id, so that a later agent finds it again.
    Every method may raise `Unavailable`, and may then be called again.
    """

    @property
    def keeps_record(self) -> bool:
        """Whether the machinery itself keeps an attempt's whole record until that is removed.

        Then any agent can bring an attempt to its end, also one that has never heard of it, and
        the record stays until the outcome is in the control plane's records.
        """
        return False

    async def run(self, task: AttemptTask, /, *, watch: Callable[[Progress], None]) -> AttemptEnd:
        """Bring an attempt to its end from wherever it stands: start, adopt, or read what is left.

        Main is started once at most, whoever asks how often. A failure of the step is an end, not
        an exception. Cancelling stops watching and leaves running what runs.
        """

    def log_offset(self, attempt_id: AttemptId, /) -> int:
        """How much of main's log has been handed on while it runs."""
        return 0

    async def clear(self, attempt_id: AttemptId, /) -> None:
        """Kill and remove whatever there is of an attempt; return when nothing is left. Idempotent.

        Never while `run` runs for it. Raises `StillThere` for what does not go away in time.
        """

    async def held(self) -> Set[AttemptId]:
        """Attempts with a record, whichever agent of the cluster began them."""
        return frozenset()

    async def sweep(
        self,
        is_known: Callable[[AttemptId], bool],
        announce: Callable[[str], Awaitable[None]],
        /,
    ) -> Sequence[str]:
        """Remove what belongs to this agent and to no known attempt; say what it was.

        Each thing is announced before it is removed, and stays where that fails. What does not go
        away keeps nothing else from going, and no agent from starting.
        """


def _without_query(method: str, url: str) -> str:
    parts = urlsplit(url)
    return f"<presigned {method} {parts.scheme}://{parts.netloc}{parts.path}?…>"
