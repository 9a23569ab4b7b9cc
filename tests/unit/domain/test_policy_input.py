"""What rules see: lists and scalars that are always there, and nothing of who or when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from animus.domain.canonical import canonical_bytes, decode_strictly
from animus.domain.plans import PlanBody
from animus.domain.policy_input import policy_input
from tests.support.documents import short_pipeline
from tests.support.plans import make_body, make_spec, read_lock

FULL = short_pipeline(
    train={
        "run": ["a", "b"], "data": "data", "out": "m", "env": {"K": "v"}, "egress": "host:443",
        "secrets": {"s": "path"}, "telemetry": True, "attempts": 2, "timeout": 60, "gpu": 1,
    },
    evaluate={"in": "train.m"},
)  # fmt: skip


def bare() -> PlanBody:
    spec = make_spec(classification="development", code=None, environment_lock=None, datasets=[])
    return make_body(spec=spec, pipeline=short_pipeline())


def keys_of(value: Any, place: str = "") -> Iterator[str]:
    """Every key there is, with lists taken as one."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{place}.{key}"
            yield from keys_of(item, f"{place}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from keys_of(item, f"{place}[]")


def test_what_is_absent_is_empty_and_never_missing() -> None:
    seen = policy_input(bare())
    full = policy_input(
        make_body(pipeline=FULL, locked=read_lock(), spec=make_spec(parameters={"p": 1}))
    )
    assert set(seen) == set(full)
    assert set(seen["steps"][0]) == set(full["steps"][0])
    assert seen["code"] == {
        "present": False, "repo_url": "", "commit": "", "path": "", "state": "missing",
    }  # fmt: skip
    assert (seen["environment_locked"], seen["environment_lock"], seen["datasets"]) == (
        False,
        "",
        [],
    )


def test_no_field_is_null() -> None:
    assert b"null" not in canonical_bytes(policy_input(bare()))


def test_steps_and_totals_are_told_in_base_units() -> None:
    seen = policy_input(make_body(pipeline=FULL, locked=read_lock()))
    train, evaluate = seen["steps"]
    assert (train["name"], train["command"], train["artifacts"]) == ("train", ["a", "b"], [])
    assert (evaluate["after"], evaluate["artifacts"]) == (["train"], ["train.m"])
    assert train["egress"] == [{"host": "host", "port": 443}]
    assert (train["max_attempts"], train["timeout_seconds"], train["gpus"]) == (2, 60, 1)
    assert seen["totals"] == {
        "steps": 2, "millicores": 2000, "memory_bytes": 2 * 2**30, "storage_bytes": 2 * 2**30,
        "gpus": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [("x", "text", "x"), (1, "int", 1), (0.5, "double", 0.5), (True, "bool", True),
     (None, "json", "null"), ([1, 2], "json", "[1,2]"), 
     ({"b": 1, "a": 2}, "json", '{"a":2,"b":1}')],
)  # fmt: skip
def test_a_parameter_is_told_with_its_type(value: Any, kind: str, shown: Any) -> None:
    (seen,) = policy_input(bare_with(p=value))["parameters"]
    assert seen == {"name": "p", "type": kind, "value": shown}


@pytest.mark.parametrize("text", ["1.0", "1e2", "0.5", "1e21", "-0.0", "3"])
def test_a_number_is_told_the_same_before_and_after_it_was_stored(text: str) -> None:
    submitted = decode_strictly(text)
    stored = decode_strictly(canonical_bytes(submitted))
    assert policy_input(bare_with(p=submitted)) == policy_input(bare_with(p=stored))
    assert repr(submitted) == repr(stored)


def bare_with(**parameters: Any) -> PlanBody:
    spec = make_spec(
        classification="development", code=None, environment_lock=None, datasets=[],
        parameters=parameters,
    )  # fmt: skip
    return make_body(spec=spec, pipeline=short_pipeline())


def test_nothing_says_who_asks_and_when() -> None:
    seen = policy_input(make_body(pipeline=FULL, locked=read_lock()))
    words = {key.rpartition(".")[2] for key in keys_of(seen)}
    assert not words & {"id", "run", "run_id", "requester", "requested_by", "time", "created_at"}
