"""RunSpecs: bindings fit the pipeline, and content is all that they are."""

from __future__ import annotations

from typing import Any

import pytest

from animus.domain.errors import InvalidDocument
from animus.domain.pipeline_expansion import expand_pipeline
from animus.domain.run_specs import check_run_spec, run_spec_bytes, run_spec_digest
from tests.support.documents import DIGEST_A, DIGEST_B, short_pipeline
from tests.support.plans import make_spec

PIPELINE = expand_pipeline(short_pipeline(train={"data": ["a", "b"]}))


def bound(*aliases: str) -> list[dict[str, str]]:
    return [{"alias": alias, "digest": DIGEST_B} for alias in aliases]


def faults_of(**changes: Any) -> list[str]:
    with pytest.raises(InvalidDocument) as refused:
        check_run_spec(make_spec(**changes), PIPELINE)
    return [f"{fault.pointer}: {fault.message}" for fault in refused.value.faults]


def test_every_alias_bound_once_fits() -> None:
    check_run_spec(make_spec(datasets=bound("a", "b")), PIPELINE)


def test_an_alias_without_a_dataset_is_named() -> None:
    assert faults_of(datasets=bound("a")) == ["/datasets: Bind the alias 'b' to a dataset version."]


def test_an_alias_that_the_pipeline_does_not_have_is_named() -> None:
    assert faults_of(datasets=bound("a", "b", "c")) == [
        "/datasets/c: The pipeline has no alias 'c'. Known: a, b."
    ]


def test_an_alias_that_is_bound_twice_is_refused() -> None:
    assert faults_of(datasets=bound("a", "b", "b")) == ["/datasets: An alias is bound twice."]


def test_parameters_and_code_are_checked_too() -> None:
    assert faults_of(datasets=bound("a", "b"), parameters={"a b": 1})[0].startswith("/parameters")
    code = {"commit": "a" * 40, "state": "proved"}
    assert faults_of(datasets=bound("a", "b"), code=code)[0].startswith("/code/state")


def test_each_part_shows_in_the_digest() -> None:
    specs = [
        make_spec(),
        make_spec(parameters={"a": 1}),
        make_spec(code=None),
        make_spec(classification="development"),
        make_spec(pipeline_digest=DIGEST_A),
        make_spec(environment_lock=DIGEST_A),
        make_spec(datasets=[]),
    ]
    assert len({run_spec_digest(run_spec_bytes(spec)) for spec in specs}) == len(specs)


@pytest.mark.parametrize("key", ["id", "project_id", "requested_by", "created_at", "cluster"])
def test_nothing_but_content_has_a_place_in_it(key: str) -> None:
    with pytest.raises(ValueError, match=key):
        make_spec(**{key: "x"})
