"""Answers from whoever has Temporal, in the place of the agent: nothing false is registered."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from animus.contracts.runs import SignedAnswer, SignedOrder
from animus.domain.canonical import canonical_bytes
from animus.domain.digests import Digest, format_digest
from animus.domain.work_orders import RESULT_TAG, STOP_TAG, order_digest
from tests.attacker.puppets import Attacker, FalseAgent, content_of, in_the_agents_place
from tests.attacker.test_orders import TABLE
from tests.conftest import RecordCases
from tests.support.waiting import eventually
from tests.workflows.machines import HANG, Act
from tests.workflows.platforms import Platform
from tests.workflows.projects import Project
from tests.workflows.records import expect_end

pytestmark = pytest.mark.stack


async def test_no_forged_result_is_registered(
    platform: Platform, project: Project, attacker: Attacker, record_cases: RecordCases
) -> None:
    genuine = await _genuine_answer(project, attacker)
    forgeries = {
        "own key": lambda order: _result(attacker, order),
        "unsigned": lambda order: _unsigned(_result(attacker, order)),
        "another order's": lambda order: genuine,
        "no document": lambda order: SignedAnswer(document="", signature=genuine.signature),
        "a receipt": lambda order: _receipt(attacker, order),
    }
    for name, forge in forgeries.items():
        false = FalseAgent(result=forge, receipt=lambda order: _receipt(attacker, order))
        async with in_the_agents_place(platform, false):
            run = await project.submit()
            recorded = await expect_end(project, run, "failed", code="step_failed")
        assert recorded.artifacts == [], name
        assert set(recorded.failures.values()) <= {"signature_refused", "result_refused"}, name
        assert platform.machine.starts_of(run) == []
    record_cases(TABLE, len(forgeries))


async def test_outputs_that_are_not_the_projects_own_are_not_registered(
    platform: Platform, project: Project, record_cases: RecordCases
) -> None:
    """Signed by the real agent, even so: unknown bytes, and bytes of another project."""
    other = await Project.create(platform)
    other.script(train=Act(outputs={"model": b"theirs"}))
    await expect_end(other, await other.submit(), "succeeded")
    for content in (b"nowhere", b"theirs"):
        digest = Digest(sha256(content).digest())
        project.script(train=Act(outputs={"model": content}, claimed_digests={"model": digest}))
        run = await project.submit()
        recorded = await expect_end(project, run, "failed", code="step_failed")
        assert recorded.artifacts == []
    record_cases(TABLE, 2)


async def test_a_forged_receipt_does_not_cancel_a_run_whose_container_runs(
    platform: Platform, project: Project, attacker: Attacker, record_cases: RecordCases
) -> None:
    project.script(train=HANG)
    run = await project.submit()
    await project.executing(run, "train")
    false = FalseAgent(
        result=lambda order: _result(attacker, order),
        receipt=lambda order: _receipt(attacker, order),
    )
    async with in_the_agents_place(platform, false):
        await project.cancel(run)

        async def has_answered() -> bool:
            return false.asked.count("stop") >= 2

        await eventually(has_answered, "the forged receipt was refused")
        assert (await project.look(run))["state"] == "running"
        assert platform.machine.running(run) == ["train"]
    recorded = await expect_end(project, run, "canceled", code="canceled")
    assert recorded.outcomes == {("train", 1): "stopped"}
    record_cases(TABLE, 1)


async def _genuine_answer(project: Project, attacker: Attacker) -> SignedAnswer:
    run = await project.submit()
    await expect_end(project, run, "succeeded")
    return (await attacker.seen_answers(project, run))[0]


def _result(attacker: Attacker, order: SignedOrder) -> SignedAnswer:
    return _signed(
        attacker,
        RESULT_TAG,
        {
            "schema": RESULT_TAG, "order_digest": _digest(order), "outcome": "succeeded",
            "failure": None, "exit_code": 0, "started_at": None, "finished_at": _now(),
            "outputs": [], "log": None, "posture": None,
        },
    )  # fmt: skip


def _receipt(attacker: Attacker, order: SignedOrder) -> SignedAnswer:
    said = {"schema": STOP_TAG, "order_digest": _digest(order), "stopped_at": _now()}
    return _signed(attacker, STOP_TAG, said)


def _signed(attacker: Attacker, tag: str, said: dict[str, Any]) -> SignedAnswer:
    document, signature = attacker.signed(said, tag)
    return SignedAnswer(document=document, signature=signature)


def _unsigned(answer: SignedAnswer) -> SignedAnswer:
    return SignedAnswer(document=answer.document, signature="")


def _digest(order: SignedOrder) -> str:
    return format_digest(order_digest(canonical_bytes(content_of(order))))


def _now() -> str:
    return datetime.now(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
