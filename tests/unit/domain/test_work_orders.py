"""Work orders, assignments and results: content that is signed, and the time it is valid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from animus.domain.canonical import decode_strictly
from animus.domain.documents import decode_document
from animus.domain.errors import InvalidDocument
from animus.domain.pipeline_expansion import expand_pipeline
from animus.domain.work_orders import (
    ASSIGNMENT_TAG,
    MAX_OUTPUTS,
    ORDER_TAG,
    RESULT_TAG,
    STOP_TAG,
    Assignment,
    AttemptResult,
    OrderRefused,
    WorkOrder,
    assignment_digest,
    check_order_time,
    order_digest,
    posture_fault,
    sealed,
)
from tests.support.documents import DIGEST_A, DIGEST_B, short_pipeline

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def order(**changes: Any) -> WorkOrder:
    said = {
        "order_id": "o", "project_id": "p", "run_id": "r", "step": "train", "attempt": 1,
        "cluster": "local", "plan_digest": DIGEST_A, "step_digest": DIGEST_B,
        "not_before": NOW, "not_after": NOW + timedelta(hours=1),
    }  # fmt: skip
    return WorkOrder.model_validate(said | changes)


@pytest.mark.parametrize(
    "change",
    [
        {"order_id": "x"}, {"project_id": "x"}, {"run_id": "x"}, {"step": "x"}, {"attempt": 2},
        {"cluster": "x"}, {"plan_digest": DIGEST_B}, {"step_digest": DIGEST_A},
        {"not_before": NOW - timedelta(seconds=1)}, {"not_after": NOW + timedelta(days=1)},
    ],
)  # fmt: skip
def test_every_part_of_an_order_is_under_its_digest(change: dict[str, Any]) -> None:
    assert order_digest(sealed(order(**change))) != order_digest(sealed(order()))


def test_an_order_reads_back_as_it_was_sealed() -> None:
    canonical = sealed(order())
    again = decode_document(WorkOrder, decode_strictly(canonical), what="work order")
    assert again == order()
    assert sealed(again) == canonical


@pytest.mark.parametrize(
    ("after", "message"),
    [(timedelta(seconds=-1), "not valid yet"), (timedelta(hours=1, seconds=1), "has expired")],
)
def test_an_order_outside_its_time_is_refused(after: timedelta, message: str) -> None:
    with pytest.raises(OrderRefused, match=message):
        check_order_time(order(), NOW + after)


@pytest.mark.parametrize("after", [timedelta(0), timedelta(minutes=30), timedelta(hours=1)])
def test_an_order_within_its_time_is_obeyed(after: timedelta) -> None:
    check_order_time(order(), NOW + after)


@pytest.mark.parametrize("key", ["order_id", "attempt", "cluster", "not_after"])
def test_an_order_without_a_part_is_none(key: str) -> None:
    content = order().content()
    del content[key]
    with pytest.raises(InvalidDocument):
        decode_document(WorkOrder, content, what="work order")


def test_an_order_has_no_time_without_a_zone() -> None:
    with pytest.raises(ValueError, match="timezone"):
        order(not_after=datetime(2026, 1, 1))  # noqa: DTZ001  # that is the case


def test_equal_work_has_an_equal_digest_wherever_it_is_done() -> None:
    (step,) = expand_pipeline(short_pipeline()).spec.steps
    one = Assignment(step=step, inputs=(), parameters={"b": 1, "a": 2})
    other = Assignment(step=step, inputs=(), parameters={"a": 2, "b": 1})
    assert assignment_digest(sealed(one)) == assignment_digest(sealed(other))


def test_signatures_over_different_documents_cannot_be_mistaken() -> None:
    assert len({ORDER_TAG, ASSIGNMENT_TAG, RESULT_TAG, STOP_TAG}) == 4


def test_a_result_has_a_bounded_number_of_outputs() -> None:
    output = {"name": "m", "kind": "file", "sha256": DIGEST_A, "size": 1}
    said = {"order_digest": DIGEST_A, "outcome": "succeeded", "finished_at": NOW}
    AttemptResult.model_validate(said | {"outputs": [output] * MAX_OUTPUTS})
    with pytest.raises(ValueError, match="outputs"):
        AttemptResult.model_validate(said | {"outputs": [output] * (MAX_OUTPUTS + 1)})


POSTURE = {
    "executor": "kubernetes", "engine": "kubernetes v1", "runtime": "gvisor", "image": DIGEST_A,
    "user": "10001", "network": "pod", "read_only_root": True, "capabilities": [],
    "no_new_privileges": True, "seccomp": "RuntimeDefault", "memory_bytes": 1, "millicores": 1,
    "pids": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("promised", "posture", "expected"),
    [
        ({}, {}, None),
        ({"image_digests": [DIGEST_A, DIGEST_B]}, {}, None),
        ({"image_digests": [DIGEST_B]}, {"image": ""}, "image_changed"),
        ({"image_digests": [DIGEST_B]}, {}, "image_changed"),
        ({"sandbox": "gvisor"}, {}, None),
        ({"sandbox": "kata"}, {}, "sandbox_missing"),
        ({"egress": "switched"}, {"network": "switched"}, None),
        ({"egress": "switched"}, {}, "egress_not_switched"),
    ],
)
def test_a_main_that_ran_otherwise_than_planned_does_not_count(
    promised: dict[str, Any], posture: dict[str, Any], expected: str | None
) -> None:
    (step,) = expand_pipeline(short_pipeline()).spec.steps
    assignment = Assignment.model_validate(
        {"step": step, "inputs": [], "parameters": {}, **promised}
    )
    result = AttemptResult.model_validate(
        {
            "order_digest": DIGEST_A,
            "outcome": "succeeded",
            "finished_at": NOW,
            "posture": POSTURE | posture,
        }
    )  # fmt: skip
    found = posture_fault(assignment, result)
    assert (found.code if found is not None else None) == expected
