"""Approval gates under time: decisions, deadlines, drift, and races between them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.callers import CallRefused
from tests.support.waiting import eventually
from tests.workflows.clocks import move_gate_deadlines, pass_run_deadline
from tests.workflows.machines import HANG
from tests.workflows.meddling import Hold
from tests.workflows.platforms import REVIEWERS, Platform
from tests.workflows.projects import Project, approval
from tests.workflows.records import check_waiting, expect_end

pytestmark = pytest.mark.stack

ROUNDS = 20


async def test_a_quorum_of_two_needs_two_persons(platform: Platform) -> None:
    project = await Project.gated(platform, quorum=2, deadline="1h")
    run = await project.submit()
    gate = await project.gate(run)
    await project.decide(gate)
    check_waiting(await project.state(run, "awaiting_approval"))
    with pytest.raises(CallRefused) as again:
        await project.decide(gate)
    assert again.value.code == "already_decided"
    await project.decide(gate, by=platform.persons[REVIEWERS[1]])
    recorded = await expect_end(project, run, "succeeded")
    assert recorded.audited["gate.approved"] == 2


async def test_new_runs_do_not_disturb_a_quorum(platform: Platform) -> None:
    """They come in, and are decided, between the first reviewer and the second."""
    project = await Project.gated(platform, quorum=2, deadline="1h")
    run = await project.submit()
    gate = await project.gate(run)
    before = await project.review(gate)
    await project.decide(gate)
    others = [await project.submit(parameters={"other": number}) for number in range(3)]
    for other in others:
        for by in REVIEWERS[:2]:
            await project.decide(await project.gate(other), by=platform.persons[by])
    after = await project.review(gate)
    assert after["canonical"] == before["canonical"]
    assert len(after["beside"]["newer_runs"]) == len(others)
    assert len(after["beside"]["decisions"]) == 1
    await project.decide(gate, by=platform.persons[REVIEWERS[1]])
    for each in (run, *others):
        await expect_end(project, each, "succeeded")


async def test_one_rejection_is_enough(platform: Platform) -> None:
    project = await Project.gated(platform, quorum=2, deadline="1h")
    run = await project.submit()
    gate = await project.gate(run)
    await project.decide(gate)
    await project.decide(gate, "reject", by=platform.persons[REVIEWERS[1]])
    recorded = await expect_end(project, run, "rejected", code="approval_rejected")
    assert recorded.closings == {"reviewer/1": "rejected"}
    assert platform.machine.starts_of(run) == []


async def test_with_two_gates_the_run_waits_for_the_one_that_is_open(platform: Platform) -> None:
    """And until that one's deadline, when the other's is over."""
    project = await Project.create(
        platform,
        approval("soon", role="reviewer", deadline="1h"),
        approval("late", role="admin", deadline="2d"),
    )
    run = await project.submit()
    first = await project.look(run)
    gates = {gate["rule"]["role"]: gate for gate in await _both_gates(project, run)}
    await project.decide(gates["reviewer"])
    later = await project.until(
        run, lambda said: said["deadline"] == gates["admin"]["deadline"], "waits for the other gate"
    )
    assert later["waiting_for"] == "approval"
    assert later["deadline"] > first["deadline"]
    await project.cancel(run)
    recorded = await expect_end(project, run, "canceled", code="canceled")
    assert sorted(filter(None, recorded.closings.values())) == ["satisfied", "voided"]


async def test_after_the_deadline_nobody_decides(platform: Platform) -> None:
    project = await Project.gated(platform, deadline="1h")
    run = await project.submit()
    gate = await project.gate(run)
    await move_gate_deadlines(project, [run], seconds=0)
    with pytest.raises(CallRefused) as late:
        await project.decide(gate)
    assert late.value.code in ("gate_expired", "gate_closed")
    recorded = await expect_end(project, run, "expired", code="approval_expired")
    assert recorded.closings == {"reviewer/1": "expired"}


async def test_a_decision_at_the_deadline_counts_or_it_does_not(platform: Platform) -> None:
    """The first commit wins; what the caller was told is what became of the run."""
    project = await Project.gated(platform, deadline="1h")
    runs = [await project.submit() for _ in range(ROUNDS)]
    gates = [await project.gate(run) for run in runs]
    moved_at = asyncio.get_running_loop().time()
    await move_gate_deadlines(project, runs, seconds=2.0)
    told = await asyncio.gather(
        *(_decide_at(project, gate, moved_at + 1.8 + n * 0.02) for n, gate in enumerate(gates))
    )
    assert set(told) <= {"counts", "gate_expired", "gate_closed"}
    for run, answer in zip(runs, told, strict=True):
        if answer == "counts":
            recorded = await expect_end(project, run, "succeeded")
        else:
            recorded = await expect_end(project, run, "expired", code="approval_expired")
            assert recorded.audited["gate.approved"] == 0


async def test_a_cancel_beside_a_decision_ends_the_run_once(platform: Platform) -> None:
    project = await Project.gated(platform, deadline="1h")
    runs = [await project.submit() for _ in range(ROUNDS)]
    gates = [await project.gate(run) for run in runs]
    await asyncio.gather(
        *(_try(project.decide(gate, "reject")) for gate in gates),
        *(_try(project.cancel(run)) for run in runs),
    )
    for run in runs:
        seen = await project.ended(run)
        ends = {"rejected": "approval_rejected", "canceled": "canceled"}
        await expect_end(project, run, seen["state"], code=ends[seen["state"]])


async def test_a_plan_that_changed_while_it_waited_must_be_approved_again(
    platform: Platform,
) -> None:
    project = await Project.gated(platform, deadline="1h")
    run = await project.submit()
    old = await project.gate(run)
    await project.publish(approval("reviewed", deadline="2h"))
    await project.decide(old)
    new = await project.gate(run, generation=2)
    assert new["plan_digest"] != old["plan_digest"]
    check_waiting(await project.state(run, "awaiting_approval"))
    assert platform.machine.starts_of(run) == []
    with pytest.raises(CallRefused) as void:
        await project.decide(new | {"plan_digest": old["plan_digest"]})
    assert void.value.code == "plan_digest_mismatch"
    for gate in (old, new | {"review_digest": old["review_digest"]}):
        with pytest.raises(CallRefused) as stale:
            await project.decide(gate)
        assert stale.value.code == "review_stale"
    review = await project.review(new)
    assert review["review_digest"] == new["review_digest"] != old["review_digest"]
    assert await project.review(old) != review  # and is kept
    await project.decide(new)
    recorded = await expect_end(project, run, "succeeded")
    assert recorded.closings == {"reviewer/1": "satisfied", "reviewer/2": "satisfied"}
    assert recorded.audited["run.plan_drifted"] == 1


async def test_another_plan_than_the_expected_one_is_rejected(
    platform: Platform, project: Project
) -> None:
    run = await project.submit(expected_plan_digest="sha256:" + "0" * 64)
    recorded = await expect_end(project, run, "rejected", code="plan_drift")
    assert recorded.incidents == ["plan_drift"]
    assert platform.machine.starts_of(run) == []


async def test_a_run_past_its_deadline_is_stopped(platform: Platform, project: Project) -> None:
    project.script(train=HANG)
    run = await project.submit()
    await project.executing(run, "train")
    await pass_run_deadline(project, run)
    recorded = await expect_end(project, run, "expired", code="run_deadline")
    assert recorded.outcomes == {("train", 1): "stopped"}


async def test_a_decision_during_revalidation_changes_nothing(platform: Platform) -> None:
    project = await Project.gated(platform, deadline="1h")
    hold = project.meddling.held["revalidate"] = Hold()
    run = await project.submit()
    gate = await project.gate(run)
    await project.decide(gate)
    await hold.reached.wait()
    with pytest.raises(CallRefused) as closed:
        await project.decide(gate, "reject", by=platform.persons[REVIEWERS[1]])
    assert closed.value.code == "gate_closed"
    hold.let_go.set()
    await expect_end(project, run, "succeeded")


async def _both_gates(project: Project, run: str) -> list[dict[str, Any]]:
    async def are_there() -> list[dict[str, Any]] | None:
        found = await project.open_gates(run)
        return found if len(found) == 2 else None

    return await eventually(are_there, f"run {run} has two gates")


async def _decide_at(project: Project, gate: dict[str, Any], moment: float) -> str:
    async def has_come() -> bool:
        return asyncio.get_running_loop().time() >= moment

    await eventually(has_come, "the moment of the decision")
    return await _try(project.decide(gate))


async def _try(asked: Any) -> str:
    try:
        await asked
    except CallRefused as refused:
        return refused.code
    return "counts"
