"""Placements: what may be asked for, how it reaches the plan, and what did not go as planned."""

from __future__ import annotations

from typing import Any

import pytest

from animus.domain.environment_locks import (
    EnvironmentDefinition,
    EnvironmentLock,
    canonical_lock,
    check_lock,
)
from animus.domain.errors import InvalidDocument
from animus.domain.limitations import LimitationCode
from animus.domain.pipeline_expansion import expand_pipeline
from animus.domain.placements import Placement
from animus.domain.plans import Execution, PlanBody
from animus.domain.policy_input import policy_input
from animus.domain.work_orders import Assignment, AttemptResult, posture_fault
from tests.support.documents import DIGEST_A, environment, lock, short_pipeline
from tests.support.plans import CONTAINER, make_body, read_lock
from tests.unit.domain.test_work_orders import NOW, POSTURE

RUNC = Execution(executor="kubernetes", runtime="runc")
GPU: dict[str, Any] = {
    "node_selector": {"accelerator": "a100"},
    "tolerations": [{"key": "gpu", "effect": "NoSchedule"}, {"key": "dedicated", "value": "ml"}],
    "priority_class": "batch-low",
    "labels": {"bank.example/cost-centre": "4711"},
    "runtime_class": "gvisor",
}


def body_of(placement: dict[str, Any] | None, execution: Execution = RUNC) -> PlanBody:
    said = lock() if placement is None else lock(placement=placement)
    return make_body(locked=read_lock(said), execution=execution)


def codes_of(body: PlanBody) -> set[tuple[LimitationCode, str]]:
    return {(each.code, each.subject) for each in body.limitations}


@pytest.mark.parametrize(
    "said",
    [
        {"labels": {"animus.io/egress": "all"}},
        {"labels": {"sidecar.istio.io/inject": "true"}},
        {"labels": {"batch.kubernetes.io/job-name": "x"}},
        {"labels": {"job-name": "x"}},
        {"runtime_class": "runc"},
        {"tolerations": [{"key": ""}]},
        {"tolerations": [{}]},
        {"node_selector": {"a": "b" * 64}},
        {"node_selector": {str(n): "" for n in range(17)}},
        {"priority_class": "Upper"},
        {"node_name": "node1"},
    ],
)
def test_what_no_environment_may_say_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Placement.model_validate(said)


def test_a_lock_has_its_environments_placement_in_any_order() -> None:
    turned = GPU | {"tolerations": GPU["tolerations"][::-1]}
    definition = EnvironmentDefinition.model_validate(environment() | {"placement": turned})
    check_lock(EnvironmentLock.model_validate(lock(placement=GPU)), definition)
    one, other = (EnvironmentLock.model_validate(lock(placement=p)) for p in (GPU, turned))
    assert canonical_lock(one) == canonical_lock(other)
    with pytest.raises(InvalidDocument) as refused:
        check_lock(EnvironmentLock.model_validate(lock()), definition)
    assert [fault.pointer for fault in refused.value.faults] == ["/lock/placement"]


def test_a_lock_without_a_placement_says_nothing_of_one() -> None:
    assert b"placement" not in canonical_lock(read_lock())
    assert "placement" not in body_of(None).content()


def test_the_plan_says_where_its_steps_go_and_policies_see_it() -> None:
    body = body_of(GPU)
    assert body.content()["placement"]["node_selector"] == {"accelerator": "a100"}
    seen = policy_input(body)["placement"]
    assert seen["tolerations"][0] == {"key": "dedicated", "value": "ml", "effect": ""}
    assert (seen["priority_class"], seen["runtime_class"]) == ("batch-low", "gvisor")
    assert policy_input(body_of(None))["placement"].keys() == seen.keys()


def test_the_environments_sandbox_is_what_the_plan_promises() -> None:
    body = body_of(GPU)
    assert body.execution.sandbox == "gvisor"
    assert (LimitationCode.RUNTIME_RUNC, "") not in codes_of(body)
    assert (LimitationCode.RUNTIME_RUNC, "") in codes_of(body_of(None))


def test_an_executor_without_nodes_says_what_it_ignores() -> None:
    body = body_of(GPU, CONTAINER)
    assert body.execution == CONTAINER
    ignored = {each for code, each in codes_of(body) if code == LimitationCode.PLACEMENT_IGNORED}
    assert ignored == GPU.keys()
    assert not [c for c, _ in codes_of(body_of(GPU)) if c == LimitationCode.PLACEMENT_IGNORED]


@pytest.mark.parametrize(
    ("planned", "found", "expected"),
    [
        (GPU, GPU, None),
        (None, None, None),
        (GPU, None, "placement_changed"),
        (GPU, GPU | {"node_selector": {}}, "placement_changed"),
        (GPU, GPU | {"priority_class": None}, "placement_changed"),
        (None, GPU, "placement_changed"),
    ],
)
def test_a_main_that_was_placed_otherwise_does_not_count(
    planned: dict[str, Any] | None, found: dict[str, Any] | None, expected: str | None
) -> None:
    (step,) = expand_pipeline(short_pipeline()).spec.steps
    assignment = Assignment.model_validate(
        {"step": step, "inputs": [], "parameters": {}, "placement": planned}
    )
    result = AttemptResult.model_validate(
        {
            "order_digest": DIGEST_A,
            "outcome": "succeeded",
            "finished_at": NOW,
            "posture": POSTURE | {"placement": found},
        }
    )
    fault = posture_fault(assignment, result)
    assert (fault.code if fault is not None else None) == expected
