"""Runs as callers see them: submit, look, cancel. What moves a run is in `run_phases`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from animus.domain.access import Permission, PrincipalKind
from animus.domain.canonical import JsonObject, canonical_bytes, decode_strictly
from animus.domain.code_refs import CodeRef
from animus.domain.digests import Digest, digest_of_canonical, format_digest
from animus.domain.documents import decode_document
from animus.domain.errors import Conflict, Fault, Forbidden, InvalidDocument, NotFound
from animus.domain.ids import PersonId, PrincipalId, ProjectId, RunId
from animus.domain.plans import TAG as PLAN_TAG
from animus.domain.plans import PlanDocument
from animus.domain.queues import Priority
from animus.domain.run_names import RANDOM_BYTES, run_name
from animus.domain.run_specs import Classification, run_spec_bytes, run_spec_digest
from animus.domain.runs import TERMINAL, FailureClass, RunState, WaitingFor
from animus.domain.triggers import Trigger
from animus.services import pipelines
from animus.services.calls import Call, record
from animus.services.parsed import plan_of
from animus.services.queues import priority_of
from animus.services.run_requests import ResolvedRequest, RunRequest, resolve
from animus.services.secret_checks import check_expected_plan, check_texts
from animus.store import runs
from animus.store.database import ReadSession, UnitOfWork
from animus.store.execution import run_lock
from animus.store.new_ids import new_id
from animus.store.principals import names_of
from animus.store.tables import CancelRequest, Run, RunDataset, RunTrigger

PLANNING_DEADLINE = timedelta(minutes=15)


class MissingInputs(InvalidDocument):
    code = "missing_inputs"


class RunEnded(Conflict):
    code = "run_ended"


class RunTokenScope(Forbidden):
    code = "run_token_scope"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    id: RunId
    project_id: ProjectId
    name: str
    classification: Classification
    pipeline: str
    pipeline_digest: Digest
    run_spec_digest: Digest
    state: RunState
    priority: Priority
    waiting_for: WaitingFor | None
    since: datetime
    deadline: datetime | None
    generation: int
    plan_digest: Digest | None
    failure_class: FailureClass | None
    failure_code: str | None
    requested_by: PrincipalId
    requester: str
    requester_person_id: PersonId
    labels: Mapping[str, str]
    reason: str
    ticket: str
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlanView:
    generation: int
    plan_digest: Digest
    document: PlanDocument
    created_at: datetime


def check_run_scope(call: Call, run_id: RunId) -> None:
    """A run token is good for its own run, and refused elsewhere."""
    if call.by.kind is PrincipalKind.RUN and call.by.run_id != run_id:
        raise RunTokenScope("A run token is good for its own run only.")


async def submit_run(
    uow: UnitOfWork,
    call: Call,
    project_id: ProjectId,
    request: RunRequest,
    *,
    expected_plan: JsonObject | None = None,
    priority: Priority = Priority.NORMAL,
    trigger: Trigger | None = None,
) -> RunView:
    """Freeze the snapshot; row, audit and outbox in this one transaction. Nothing is planned.

    `expected_plan` is the plan that the caller saw, whose digest `request` names; drift is
    explained with it. No part of the plan are `priority`, which says when and not what, and
    `trigger`, which is what the client says of itself.
    """
    _check_priority(call, priority)
    if trigger is not None:
        check_texts(trigger=trigger.content())
    resolved = await resolve(uow, project_id, request)
    _check_complete(resolved)
    run = _new_run(call, project_id, request, resolved)
    run.expected_plan = _expected_plan(request, resolved, expected_plan)
    run.priority = priority
    pipelines.keep(
        uow, call, project_id,
        spec=resolved.facts.pipeline, canonical=resolved.pipeline_bytes,
        digest=resolved.pipeline_digest,
    )  # fmt: skip
    uow.add(
        run,
        *(
            RunDataset(
                run_id=run.id, alias=alias, project_id=project_id, dataset_version_id=version_id
            )
            for alias, version_id in resolved.dataset_versions.items()
        ),
    )
    if trigger is not None:
        uow.add(
            RunTrigger(
                run_id=run.id, project_id=project_id, canonical=canonical_bytes(trigger.content())
            )
        )
    record(
        uow, call, "run.submitted",
        project_id=project_id, subjects={"run": run.id},
        payload=_submission(run, request, resolved, trigger),
    )  # fmt: skip
    runs.add_outbox(uow, project_id, run.id, runs.START)
    await uow.flush()
    return _view(run, call.by.name)


def _check_priority(call: Call, priority: Priority) -> None:
    if priority is Priority.HIGH and Permission.ADMINISTER not in call.by.permissions():
        raise Forbidden("High priority is for administrators of the project. Ask one to submit it.")


def _check_complete(resolved: ResolvedRequest) -> None:
    if resolved.missing:
        faults = [
            Fault(
                pointer=f"/{missing.what}",
                message=f"{missing.name}: {missing.todo}",
                code="missing",
            )
            for missing in resolved.missing
        ]
        raise MissingInputs("The server does not have everything this run needs.", faults)


def _expected_plan(
    request: RunRequest, resolved: ResolvedRequest, plan: JsonObject | None
) -> bytes | None:
    """The plan's canonical bytes: a plan, of the digest that was named, without credentials."""
    if plan is None:
        return None
    canonical = canonical_bytes(plan)
    if digest_of_canonical(PLAN_TAG, canonical) != request.expected_plan_digest:
        message = "This is not the plan that 'expected_plan_digest' names."
        raise InvalidDocument(message, [Fault(pointer="/expected_plan", message=message)])
    judged = (resolved.spec.content(), resolved.facts.pipeline.content())
    check_expected_plan(plan, judged=judged, allowed=request.not_secret)
    _check_is_plan(plan)
    return canonical


def _check_is_plan(value: JsonObject) -> None:
    try:
        decode_document(PlanDocument, value, what="plan")
    except InvalidDocument as error:
        faults = [
            replace(fault, pointer=f"/expected_plan{fault.pointer}") for fault in error.faults
        ]
        raise InvalidDocument(error.message, faults) from None


def _new_run(
    call: Call, project_id: ProjectId, request: RunRequest, resolved: ResolvedRequest
) -> Run:
    spec_bytes = run_spec_bytes(resolved.spec)
    return Run(
        id=new_id(),
        project_id=project_id,
        name=run_name(secrets.token_bytes(RANDOM_BYTES)),
        classification=request.classification,
        cluster_id=resolved.cluster.id,
        pipeline_digest=resolved.pipeline_digest,
        pipeline_name=resolved.facts.pipeline.metadata.name,
        run_spec=spec_bytes,
        run_spec_digest=run_spec_digest(spec_bytes),
        environment_lock_id=resolved.lock_id,
        source_id=resolved.source_id,
        expected_plan_digest=request.expected_plan_digest,
        labels=canonical_bytes(dict(request.labels)),
        reason=request.reason,
        ticket=request.ticket,
        requested_by=call.by.principal_id,
        requester_person_id=call.by.person_id,
        state=RunState.CREATED,
        waiting_for=WaitingFor.PLANNING,
        deadline=call.now + PLANNING_DEADLINE,
    )


def _submission(
    run: Run, request: RunRequest, resolved: ResolvedRequest, trigger: Trigger | None
) -> dict[str, object]:
    """What the audit event keeps of a submission: digests and reasons, no values."""
    code: CodeRef | None = request.code
    return {
        "name": run.name,
        "classification": str(request.classification),
        "run_spec_digest": format_digest(run.run_spec_digest),
        "pipeline_digest": format_digest(run.pipeline_digest),
        "datasets": {binding.alias: binding.digest for binding in resolved.spec.datasets},
        "code": {"commit": code.commit, "state": str(code.state)} if code else None,
        "environment_lock": resolved.spec.environment_lock,
        "expected_plan_digest": (
            format_digest(request.expected_plan_digest) if request.expected_plan_digest else None
        ),
        "reason": request.reason,
        "ticket": request.ticket,
        "priority": run.priority,
        "not_secret": sorted(request.not_secret),
        "trigger": trigger.content() if trigger is not None else None,
    }


async def get_run(session: ReadSession, project_id: ProjectId, run_id: RunId) -> RunView:
    run = await get_row(session, project_id, run_id)
    names = await names_of(session, [run.requested_by])
    return _view(run, names[run.requested_by])


async def get_row(session: ReadSession, project_id: ProjectId, run_id: RunId) -> Run:
    run = await runs.find_run(session, project_id, run_id)
    if run is None:
        raise NotFound("run", str(run_id))
    return run


async def list_runs(
    session: ReadSession,
    project_id: ProjectId,
    wanted: runs.RunFilter,
    *,
    before: UUID | None,
    limit: int,
) -> Sequence[RunView]:
    rows = await runs.list_runs(session, project_id, wanted, before=before, limit=limit)
    return [_view(run, requester) for run, requester in rows]


async def get_plan(
    session: ReadSession, project_id: ProjectId, run_id: RunId, *, generation: int | None = None
) -> RunPlanView:
    """The plan that the run's workflow stored; the newest generation for None."""
    await get_row(session, project_id, run_id)
    row = await runs.find_plan(session, project_id, run_id, generation=generation)
    if row is None:
        raise NotFound("plan of run", str(run_id))
    return RunPlanView(
        generation=row.generation,
        plan_digest=Digest(row.plan_digest),
        document=plan_of(row.canonical),
        created_at=row.created_at,
    )


async def cancel_run(
    uow: UnitOfWork, call: Call, project_id: ProjectId, run_id: RunId, *, reason: str
) -> RunView:
    """Record that the run is to be canceled and wake its workflow. Safe to repeat."""
    check_texts(reason=reason)
    await uow.lock(*run_lock(run_id))
    run = await get_row(uow, project_id, run_id)
    if run.state in TERMINAL:
        raise RunEnded(f"The run has ended: it is {run.state}.")
    asked = await runs.keep_cancel_request(
        uow,
        CancelRequest(
            run_id=run_id, project_id=project_id, principal_id=call.by.principal_id, reason=reason
        ),
    )
    if asked:
        record(
            uow, call, "run.cancel_requested",
            project_id=project_id, subjects={"run": run_id}, payload={"reason": reason},
        )  # fmt: skip
        runs.add_outbox(uow, project_id, run_id, "wake")
        await uow.flush()
    return await get_run(uow, project_id, run_id)


def _view(run: Run, requester: str) -> RunView:
    return RunView(
        id=RunId(run.id),
        project_id=ProjectId(run.project_id),
        name=run.name,
        classification=Classification(run.classification),
        pipeline=run.pipeline_name,
        pipeline_digest=Digest(run.pipeline_digest),
        run_spec_digest=Digest(run.run_spec_digest),
        state=RunState(run.state),
        priority=priority_of(run.priority),
        waiting_for=WaitingFor(run.waiting_for) if run.waiting_for else None,
        since=run.state_since,
        deadline=run.deadline,
        generation=run.generation,
        plan_digest=Digest(run.plan_digest) if run.plan_digest else None,
        failure_class=FailureClass(run.failure_class) if run.failure_class else None,
        failure_code=run.failure_code,
        requested_by=PrincipalId(run.requested_by),
        requester=requester,
        requester_person_id=PersonId(run.requester_person_id),
        labels=decode_strictly(run.labels),
        reason=run.reason,
        ticket=run.ticket,
        created_at=run.created_at,
        ended_at=run.ended_at,
    )
