"""Every limitation is explained to whoever reads it, and those that forbid production are named."""

from __future__ import annotations

from typing import get_args

import pytest

from animus.domain.code_refs import CodeLimitation
from animus.domain.limitations import EXPLANATIONS, PRODUCTION_NEEDS, LimitationCode
from animus.domain.plans import Execution
from tests.support.documents import short_pipeline
from tests.support.plans import CONTAINER, KUBERNETES, make_body


def test_every_limitation_is_explained_and_no_other() -> None:
    assert set(EXPLANATIONS) == set(LimitationCode)
    assert len(set(EXPLANATIONS.values())) == len(EXPLANATIONS)


@pytest.mark.parametrize(
    ("runtime", "is_weaker"), [("runc", True), ("crun", True), ("runsc", False), ("gvisor", False)]
)
def test_a_runtime_that_shares_the_kernel_is_a_limitation(runtime: str, is_weaker: bool) -> None:
    execution = Execution(executor="container", runtime=runtime)
    codes = {limitation.code for limitation in make_body(execution=execution).limitations}
    assert (LimitationCode.RUNTIME_RUNC in codes) is is_weaker
    assert execution.sandbox == (None if is_weaker else runtime)


def test_what_runs_nothing_promises_no_sandbox() -> None:
    assert Execution(executor="noop", runtime="none").sandbox is None


@pytest.mark.parametrize("code", LimitationCode)
def test_an_explanation_is_a_sentence(code: LimitationCode) -> None:
    assert EXPLANATIONS[code][0].isupper() or EXPLANATIONS[code].startswith("runc")
    assert EXPLANATIONS[code].endswith(".")


def test_what_a_source_can_lack_is_a_limitation_of_a_run_too() -> None:
    codes = get_args(CodeLimitation.model_fields["code"].annotation)
    assert set(codes) <= set(LimitationCode)


def test_what_production_needs_is_what_tells_data_code_and_environment() -> None:
    assert {
        LimitationCode.CODE_MISSING,
        LimitationCode.DATASET_MISSING,
        LimitationCode.ENVIRONMENT_UNLOCKED,
    } == PRODUCTION_NEEDS


@pytest.mark.parametrize(
    ("execution", "switches", "expected"),
    [
        (KUBERNETES, False, {LimitationCode.EGRESS_SHARED}),
        (KUBERNETES, True, {LimitationCode.EGRESS_BY_ADDRESS}),
        (CONTAINER, False, {LimitationCode.EGRESS_UNFILTERED}),
        (CONTAINER, True, {LimitationCode.EGRESS_UNFILTERED}),
    ],
)
def test_what_a_plan_says_of_the_network_of_its_steps(
    execution: Execution, switches: bool, expected: set[LimitationCode]
) -> None:
    pipeline = short_pipeline(train={"data": "data", "egress": "pypi.example:443"})
    body = make_body(pipeline=pipeline, execution=execution, switches_egress=switches)
    codes = {limitation.code for limitation in body.limitations}
    assert {code for code in codes if code.startswith("egress")} == expected
    assert body.switches_egress is (expected == {LimitationCode.EGRESS_BY_ADDRESS})
