"""Every limitation is explained to whoever reads it, and those that forbid production are named."""

from __future__ import annotations

from typing import get_args

import pytest

from animus.domain.code_refs import CodeLimitation
from animus.domain.limitations import EXPLANATIONS, PRODUCTION_NEEDS, LimitationCode


def test_every_limitation_is_explained_and_no_other() -> None:
    assert set(EXPLANATIONS) == set(LimitationCode)
    assert len(set(EXPLANATIONS.values())) == len(EXPLANATIONS)


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
