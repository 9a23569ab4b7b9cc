"""Review documents: frozen when a generation's gates open, read back with what came after."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from animus.domain.access import PrincipalKind
from animus.domain.canonical import decode_strictly
from animus.domain.digests import format_digest
from animus.domain.errors import NotFound
from animus.domain.ids import GateId, ProjectId, effect_event_id
from animus.domain.plan_items import PlanContent
from animus.domain.plans import PlanDocument
from animus.domain.review_differences import difference_section
from animus.domain.review_facts import (
    Account,
    ApprovedPlan,
    Asked,
    BoundData,
    ReviewFacts,
    Trial,
    Trials,
)
from animus.domain.review_sections import write_review
from animus.domain.reviews import SealedReview, read_review, seal_review
from animus.domain.run_specs import Classification, run_spec_bytes, run_spec_digest
from animus.domain.runs import RunState
from animus.services.approvals import GateView, get_gate, rule_of
from animus.services.calls import Call, record
from animus.services.frozen_reviews import find_frozen
from animus.services.parsed import plan_of, run_spec_of
from animus.services.plan_contents import find_contents
from animus.services.planning import Planned
from animus.services.questions import QuestionView, list_of_run
from animus.services.queues import QUEUE_LIFE
from animus.store import reviews, runs
from animus.store.database import ReadSession, UnitOfWork
from animus.store.reviews import LastApproved, ReviewRecords
from animus.store.run_records import RunRecords
from animus.store.tables import ApprovalGate, GateReview, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class NewerRunView:
    """A run of the same pipeline that was submitted since."""

    name: str
    classification: Classification
    state: RunState
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewView:
    """The frozen document, and beside it what is known by now."""

    sealed: SealedReview
    gate: GateView
    run_state: RunState
    run_generation: int
    newer_runs: Sequence[NewerRunView]
    questions: Sequence[QuestionView]
    """At all gates of the run."""
    as_of: datetime

    @property
    def is_stale(self) -> bool:
        return self.run_generation > self.gate.generation


async def freeze(
    uow: UnitOfWork,
    call: Call,
    records: RunRecords,
    planned: Planned,
    *,
    start_within: timedelta,
) -> None:
    """Write the review of each gate that has just been opened, in the same transaction."""
    if not records.gates:
        return
    run = records.run
    found = await _look_up(uow, run)
    data = await _data(uow, run)
    before, content = await _contents(uow, run, planned.plan.document, found.last_approved)
    trials = await _trials(uow, run, found)
    trigger = await _trigger(uow, run)
    facts = [
        ReviewFacts(
            asked=_asked(run, gate, found, trigger=trigger, opened_at=records.read_at),
            plan=planned.plan,
            content=content,
            policies=[judgement.policy for judgement in planned.judgements],
            data=data,
            before=before,
            trials=trials,
            start_within=start_within,
            wait_at_most=QUEUE_LIFE,
        )
        for gate in records.gates
    ]
    written = await asyncio.to_thread(_write, facts)
    for gate, sealed in zip(records.gates, written, strict=True):
        uow.add(_row(run, gate, sealed))
        _record_opened(uow, call, gate, sealed)
    runs.add_outbox(uow, run.project_id, run.id, runs.NOTIFY)


def _write(facts: Sequence[ReviewFacts]) -> Sequence[SealedReview]:
    """The difference once: ten thousand files take a third of a second."""
    difference = difference_section(facts[0])
    return [seal_review(write_review(one, difference)) for one in facts]


async def get_review(session: ReadSession, project_id: ProjectId, gate_id: GateId) -> ReviewView:
    """Raises `ReviewDamaged` where what is stored is not what was frozen."""
    gate = await get_gate(session, project_id, gate_id)
    row = await find_frozen(session, project_id, gate_id)
    if row is None:
        raise NotFound("review of the gate", str(gate_id))
    sealed = read_review(row.canonical)
    run = await runs.find_run(session, project_id, gate.run_id)
    assert run is not None  # a foreign key says so
    newer = await reviews.list_newer_runs(
        session, project_id, pipeline=run.pipeline_name, after=run.id
    )
    return ReviewView(
        sealed=sealed,
        gate=gate,
        run_state=RunState(run.state),
        run_generation=run.generation,
        newer_runs=[
            NewerRunView(
                name=name,
                classification=Classification(classification),
                state=RunState(state),
                created_at=created_at,
            )
            for name, classification, state, created_at in newer
        ],
        questions=await list_of_run(session, project_id, gate.run_id),
        as_of=await runs.database_time(session),
    )


def _record_opened(uow: UnitOfWork, call: Call, gate: ApprovalGate, sealed: SealedReview) -> None:
    """In the log from the beginning, so that no other review can take its place later."""
    record(
        uow, call, "gate.opened",
        project_id=ProjectId(gate.project_id), subjects={"run": gate.run_id, "gate": gate.id},
        payload={
            "gate": gate.name, "generation": gate.generation,
            "plan_digest": format_digest(gate.plan_digest),
            "review_digest": format_digest(sealed.digest),
        },
        event_id=effect_event_id("gate", gate.id, "opened"),
    )  # fmt: skip


def _row(run: Run, gate: ApprovalGate, sealed: SealedReview) -> GateReview:
    return GateReview(
        gate_id=gate.id,
        project_id=gate.project_id,
        run_id=gate.run_id,
        pipeline_name=run.pipeline_name,
        digest=sealed.digest,
        canonical=sealed.canonical,
    )


async def _look_up(uow: UnitOfWork, run: Run) -> ReviewRecords:
    spec = run_spec_of(run.run_spec)
    trial = spec.model_copy(update={"classification": Classification.DEVELOPMENT})
    return await reviews.look_up(
        uow,
        run.project_id,
        accounts=[run.requested_by, run.requester_person_id],
        pipeline=run.pipeline_name,
        content=run_spec_digest(run_spec_bytes(trial)),
        besides=run.id,
    )


async def _trigger(uow: UnitOfWork, run: Run) -> Mapping[str, str]:
    row = await runs.find_trigger(uow, run.project_id, run.id)
    if row is None:
        return {}
    said = decode_strictly(row.canonical)
    return {name.replace("_", " "): value for name, value in said.items()}


def _asked(
    run: Run,
    gate: ApprovalGate,
    found: ReviewRecords,
    *,
    trigger: Mapping[str, str],
    opened_at: datetime,
) -> Asked:
    return Asked(
        project_id=run.project_id,
        project=found.project,
        run_id=run.id,
        run=run.name,
        gate_id=gate.id,
        rule=rule_of(gate),
        generation=gate.generation,
        asked_at=run.created_at,
        opened_at=opened_at,
        deadline=gate.deadline,
        requester=_account(found, run.requested_by),
        person=_account(found, run.requester_person_id),
        reason=run.reason,
        ticket=run.ticket,
        trigger=trigger,
    )


def _account(found: ReviewRecords, principal_id: UUID) -> Account:
    name, display_name, kind = found.accounts[principal_id]
    return Account(name=name, display_name=display_name, kind=PrincipalKind(kind))


async def _data(uow: UnitOfWork, run: Run) -> Mapping[str, BoundData]:
    """What is bound, by alias."""
    return {
        one.alias: BoundData(
            dataset=one.dataset,
            version=one.version,
            digest=format_digest(one.digest),
            files=one.files,
            total_bytes=one.total_bytes,
        )
        for one in await reviews.list_bound_versions(uow, run.project_id, run.id)
    }


async def _contents(
    uow: UnitOfWork, run: Run, plan: PlanDocument, last: LastApproved | None
) -> tuple[ApprovedPlan | None, PlanContent]:
    """The plan approved last and this one, with what is known of both."""
    if last is None:
        return None, PlanContent(document=plan)
    project_id, approved = ProjectId(run.project_id), plan_of(last.canonical)
    older, newer = await find_contents(uow, project_id, approved, plan)
    before = ApprovedPlan(
        run_id=last.run_id,
        run=last.run,
        generation=last.generation,
        plan_digest=last.plan_digest,
        content=older,
        approved_at=last.approved_at,
    )
    return before, newer


async def _trials(uow: UnitOfWork, run: Run, found: ReviewRecords) -> Trials:
    newest = []
    for run_id, name, state, ended_at in found.newest_trials:
        metrics, has_more = await reviews.list_last_metrics(uow, run.project_id, run_id)
        newest.append(
            Trial(
                run_id=run_id,
                run=name,
                state=RunState(state),
                ended_at=ended_at,
                metrics=metrics,
                has_more_metrics=has_more,
            )
        )
    by_state = {RunState(state): number for state, number in found.trials.items()}
    return Trials(by_state=by_state, newest=newest)
