"""Closing attempts: the agent's signed answer verified, outputs compared with the store, kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from animus.domain.attempts import RETRYABLE, AttemptOutcome
from animus.domain.canonical import decode_strictly
from animus.domain.digests import format_digest, parse_digest
from animus.domain.documents import decode_document
from animus.domain.errors import Conflict, NotFound
from animus.domain.ids import AttemptId, ProjectId, RunId, effect_event_id
from animus.domain.manifests import Manifest, read_manifest
from animus.domain.retries import backoff_seconds
from animus.domain.runs import FailureClass
from animus.domain.work_orders import (
    RESULT_TAG,
    STOP_TAG,
    Assignment,
    AttemptResult,
    Failure,
    ResultLog,
    ResultOutput,
    ResultRefused,
    StopReceipt,
    Usage,
    posture_fault,
)
from animus.ledger.leaves import Result
from animus.ledger.signatures import verify
from animus.ports import ObjectStore
from animus.services.blobs import WantedObject, verify_all
from animus.services.calls import Call, record
from animus.services.parsed import assignment_of, run_spec_of
from animus.store import data, execution
from animus.store.database import Database, ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.tables import (
    Artifact,
    Attempt,
    AttemptOutcomeRow,
    Blob,
    Cluster,
    LineageEdge,
    ManifestRow,
    Run,
    RunDataset,
    StopReceiptRow,
    WorkOrderRow,
)

MAX_MANIFEST_BYTES = 8 * 1024**2
LOG_MEDIA_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for an attempt: a signed result, a signed receipt, or neither."""

    result: bytes | None = None
    receipt: bytes | None = None
    signature: bytes = b""
    failure_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    outcome: AttemptOutcome
    again: bool
    delay_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    attempt: Attempt
    row: WorkOrderRow
    cluster: Cluster
    assignment: Assignment


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    """The outcome to record, with the objects that were seen in the store."""

    outcome: AttemptOutcome
    failure: Failure | None = None
    exit_code: int | None = None
    blobs: Sequence[Blob] = ()
    manifests: dict[str, Manifest] = field(default_factory=dict)
    outputs: tuple[ResultOutput, ...] = ()
    log: ResultLog | None = None
    usage: Usage | None = None


async def close_attempt(
    database: Database,
    call: Call,
    project_id: ProjectId,
    attempt_id: AttemptId,
    answer: Answer,
    *,
    run_id: RunId,
    store: ObjectStore,
) -> Closed:
    """Record the one outcome of an attempt, whoever asks how often.

    Signatures are checked first, the store is asked outside the transaction, and everything is
    kept in one. Raises `NotFound` for an attempt that is not the run's, `SignatureRefused` or
    `ResultRefused` for an answer that is not the agent's own answer to this order.
    """
    async with database.read() as session:
        order, recorded = await _get_order(session, project_id, attempt_id, run_id)
        if recorded is not None:
            return await _closed(session, order, recorded)
        result = _read_result(order, answer)
        known = await _known_blobs(session, order, result)
    verified = await _verify(order, answer, result, known, store)
    async with database.write() as uow:
        order, recorded = await _get_order(uow, project_id, attempt_id, run_id, lock=True)
        if recorded is None:
            recorded = await _keep(uow, call, order, answer, verified)
        return await _closed(uow, order, recorded)


async def _get_order(
    session: ReadSession,
    project_id: ProjectId,
    attempt_id: AttemptId,
    run_id: RunId,
    *,
    lock: bool = False,
) -> tuple[_Order, AttemptOutcomeRow | None]:
    found = await execution.find_order(session, project_id, attempt_id, lock=lock)
    if found is None or found.attempt.run_id != run_id:
        raise NotFound("attempt", str(attempt_id))
    order = _Order(
        attempt=found.attempt,
        row=found.order,
        cluster=found.cluster,
        assignment=assignment_of(found.order.assignment),
    )
    return order, found.outcome


async def _known_blobs(
    session: ReadSession, order: _Order, result: AttemptResult | None
) -> dict[bytes, Blob]:
    wanted = [o.sha256 for o in _objects_of(result)] if result is not None else []
    if not wanted:
        return {}
    return await data.find_blobs(session, order.attempt.project_id, wanted)


async def _verify(
    order: _Order,
    answer: Answer,
    result: AttemptResult | None,
    known: dict[bytes, Blob],
    store: ObjectStore,
) -> _Verified:
    if result is not None:
        return await _verify_result(order, result, known, store)
    if answer.receipt is not None:
        _read_receipt(order, answer)
        return _Verified(outcome=AttemptOutcome.STOPPED)
    failure = Failure(
        failure_class=FailureClass.PLATFORM,
        code=answer.failure_code or "no_result",
        message="The agent gave no result for this attempt.",
    )
    return _Verified(outcome=AttemptOutcome.FAILED, failure=failure)


def _read_result(order: _Order, answer: Answer) -> AttemptResult | None:
    """None where there is none; else what the cluster's key signed as the answer to this order."""
    if answer.result is None:
        return None
    verify(RESULT_TAG, answer.result, answer.signature, order.cluster.result_key)
    result = decode_document(AttemptResult, decode_strictly(answer.result), what="result")
    if parse_digest(result.order_digest) != order.row.order_digest:
        raise ResultRefused("The result answers another work order.")
    return result


def _read_receipt(order: _Order, answer: Answer) -> StopReceipt:
    assert answer.receipt is not None
    verify(STOP_TAG, answer.receipt, answer.signature, order.cluster.result_key)
    receipt = decode_document(StopReceipt, decode_strictly(answer.receipt), what="stop receipt")
    if parse_digest(receipt.order_digest) != order.row.order_digest:
        raise ResultRefused("The receipt answers another work order.")
    return receipt


def _objects_of(result: AttemptResult) -> list[WantedObject]:
    wanted = [
        WantedObject(sha256=parse_digest(output.sha256), size=output.size)
        for output in result.outputs
    ]
    if result.log is not None:
        wanted.append(WantedObject(sha256=parse_digest(result.log.sha256), size=result.log.size))
    return wanted


async def _verify_result(
    order: _Order, result: AttemptResult, known: dict[bytes, Blob], store: ObjectStore
) -> _Verified:
    """Outputs that are not in the store as they were signed make the attempt a platform failure,
    and a main that ran outside its sandbox, or from another image, one of the environment."""
    try:
        _check_declared(order, result)
        project_id = ProjectId(order.attempt.project_id)
        blobs = await verify_all(store, project_id, _objects_of(result), known)
        manifests, inner = await _verify_manifests(
            project_id, result, known | {b.sha256: b for b in blobs}, store
        )
    except (Conflict, ResultRefused) as error:
        return _Verified(
            outcome=AttemptOutcome.FAILED, exit_code=result.exit_code, usage=result.usage,
            failure=Failure(
                failure_class=FailureClass.PLATFORM, code=error.code, message=error.message
            ),
        )  # fmt: skip
    fault = posture_fault(order.assignment, result)
    return _Verified(
        outcome=AttemptOutcome.FAILED if fault else result.outcome,
        failure=fault or result.failure,
        exit_code=result.exit_code,
        blobs=[*blobs, *inner],
        manifests=manifests,
        outputs=result.outputs,
        log=result.log,
        usage=result.usage,
    )


def _check_declared(order: _Order, result: AttemptResult) -> None:
    declared = {output.name: output for output in order.assignment.step.outputs.artifacts}
    names = [output.name for output in result.outputs]
    if len(set(names)) != len(names) or not set(names) <= set(declared):
        raise ResultRefused("The result names outputs that the step does not declare.")
    if result.outcome is not AttemptOutcome.SUCCEEDED:
        return
    if result.exit_code != 0:
        raise ResultRefused("The result claims success with another exit code than 0.")
    missing = [n for n, output in declared.items() if not output.optional and n not in names]
    if missing:
        raise ResultRefused(f"The result lacks required outputs: {', '.join(sorted(missing))}.")


async def _verify_manifests(
    project_id: ProjectId, result: AttemptResult, known: dict[bytes, Blob], store: ObjectStore
) -> tuple[dict[str, Manifest], list[Blob]]:
    """Manifests of directory outputs, and rows for the files that they name."""
    manifests: dict[str, Manifest] = {}
    for output in result.outputs:
        if output.kind == "manifest":
            digest = parse_digest(output.sha256)
            version = known[digest].version_id
            content = await store.get_bytes(
                project_id, digest, version_id=version, limit=MAX_MANIFEST_BYTES
            )
            manifests[output.name] = read_manifest(decode_strictly(content))
    wanted = [
        WantedObject(sha256=parse_digest(entry.sha256), size=entry.size)
        for manifest in manifests.values()
        for entry in manifest.files
    ]
    return manifests, await verify_all(store, project_id, wanted, known)


async def _keep(
    uow: UnitOfWork, call: Call, order: _Order, answer: Answer, verified: _Verified
) -> AttemptOutcomeRow:
    attempt = order.attempt
    failure, usage = verified.failure, verified.usage or Usage()
    row = AttemptOutcomeRow(
        attempt_id=attempt.id,
        project_id=attempt.project_id,
        run_id=attempt.run_id,
        outcome=verified.outcome,
        failure_class=failure.failure_class if failure else None,
        failure_code=failure.code if failure else None,
        message=failure.message if failure else "",
        exit_code=verified.exit_code,
        result=answer.result,
        signature=answer.signature if answer.result is not None else None,
        cpu_milliseconds=usage.cpu_milliseconds,
        peak_memory_bytes=usage.peak_memory_bytes,
        bytes_in=usage.bytes_in,
        bytes_out=usage.bytes_out,
    )
    uow.add(row)
    if answer.receipt is not None:
        execution.keep_receipt(uow, StopReceiptRow(
            attempt_id=attempt.id, project_id=attempt.project_id,
            receipt=answer.receipt, signature=answer.signature,
        ))  # fmt: skip
    await data.keep_blobs(uow, verified.blobs)
    for manifest in verified.manifests.values():
        await data.keep_manifest(uow, ManifestRow(
            project_id=attempt.project_id, digest=manifest.digest, canonical=manifest.canonical,
            files=len(manifest.files), total_bytes=manifest.total_bytes,
        ))  # fmt: skip
    artifacts = list(_artifacts(order, verified))
    uow.add(*artifacts)
    execution.add_edges(uow, await _edges(uow, order, artifacts))
    execution.revoke_tokens(uow, attempt.project_id, attempt.id, at=call.now)
    _record(uow, call, order, row, artifacts)
    return row


def _artifacts(order: _Order, verified: _Verified) -> Iterator[Artifact]:
    attempt, step = order.attempt, order.assignment.step
    declared = {output.name: output for output in step.outputs.artifacts}
    usable = verified.outcome is AttemptOutcome.SUCCEEDED
    for output in verified.outputs:
        manifest = verified.manifests.get(output.name)
        said = declared[output.name]
        yield Artifact(
            id=new_id(),
            project_id=attempt.project_id,
            run_id=attempt.run_id,
            attempt_id=attempt.id,
            step=attempt.step,
            name=output.name,
            kind=said.type,
            form=output.kind,
            media_type=said.mediaType or "application/octet-stream",
            sha256=parse_digest(output.sha256),
            size=output.size,
            total_bytes=manifest.total_bytes if manifest else output.size,
            manifest_digest=manifest.digest if manifest else None,
            usable=usable,
            origin="collect",
        )
    if verified.log is not None:
        yield _log_artifact(attempt, parse_digest(verified.log.sha256), verified.log.size)


def _log_artifact(attempt: Attempt, sha256: bytes, size: int) -> Artifact:
    return Artifact(
        id=new_id(),
        project_id=attempt.project_id,
        run_id=attempt.run_id,
        attempt_id=attempt.id,
        step=attempt.step,
        name=f"{attempt.step}-{attempt.number}.log",
        kind="log",
        form="file",
        media_type=LOG_MEDIA_TYPE,
        sha256=sha256,
        size=size,
        total_bytes=size,
        usable=False,
        origin="log",
    )


async def _edges(
    session: ReadSession, order: _Order, artifacts: Sequence[Artifact]
) -> list[LineageEdge]:
    """What went into the run, and what came out of it, by content."""
    key = (order.attempt.project_id, order.attempt.run_id)
    async with session.together() as asked:
        found = await asked.pick(Run, "project_id = %s AND id = %s", *key)
        bindings = await asked.pick(RunDataset, "project_id = %s AND run_id = %s", *key)
    run = found.value[0]
    spec = run_spec_of(run.run_spec)
    said = [("image", order.assignment.step.image_digest, "executed_in", "run", str(run.id))]
    if spec.code is not None:
        said.append(("commit", spec.code.commit, "executed_in", "run", str(run.id)))
    for binding in bindings.value:
        version = str(binding.dataset_version_id)
        said.append(("dataset_version", version, "used_by", "run", str(run.id)))
    said += [("run", str(run.id), "produced", "artifact", str(a.id)) for a in artifacts]
    return [
        LineageEdge(
            id=new_id(), project_id=run.project_id, run_id=run.id,
            subject_kind=kind, subject_id=subject, predicate=predicate,
            object_kind=object_kind, object_id=object_id,
        )
        for kind, subject, predicate, object_kind, object_id in said
    ]  # fmt: skip


def _record(
    uow: UnitOfWork,
    call: Call,
    order: _Order,
    row: AttemptOutcomeRow,
    artifacts: Sequence[Artifact],
) -> None:
    attempt = order.attempt
    record(
        uow, call, "attempt.closed",
        project_id=ProjectId(attempt.project_id),
        subjects={"run": attempt.run_id, "attempt": attempt.id},
        payload={
            "step": attempt.step, "number": attempt.number, "outcome": row.outcome,
            "failure_class": row.failure_class, "failure_code": row.failure_code,
            "exit_code": row.exit_code, "signed": row.result is not None,
            "artifacts": [
                {"id": str(a.id), "name": a.name, "sha256": format_digest(a.sha256)}
                for a in artifacts
            ],
        },
        result=Result.DONE if row.outcome == AttemptOutcome.SUCCEEDED else Result.FAILED,
        event_id=effect_event_id("attempt", attempt.id, "closed"),
    )  # fmt: skip


async def _closed(session: ReadSession, order: _Order, row: AttemptOutcomeRow) -> Closed:
    """What the retry policy says of it: the step's own, as it was planned."""
    policy = order.assignment.step.retryPolicy
    number = order.attempt.number
    retryable = row.failure_class is not None and FailureClass(row.failure_class) in RETRYABLE
    again = row.outcome == AttemptOutcome.FAILED and retryable and number < policy.maxAttempts
    return Closed(
        outcome=AttemptOutcome(row.outcome),
        again=again,
        delay_seconds=backoff_seconds(policy, after_attempt=number) if again else 0.0,
    )
