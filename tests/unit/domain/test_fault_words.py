"""What is wrong in a document, as whoever wrote it reads it."""

from __future__ import annotations

from typing import Any

import pytest

from animus.domain.documents import decode_document
from animus.domain.environment_locks import EnvironmentLock
from animus.domain.errors import InvalidDocument
from animus.domain.pipeline_expansion import expand_pipeline
from animus.domain.policies import read_policy
from animus.domain.suggestions import suggest, suggest_or_list

IMAGE = "registry/x@sha256:" + "a" * 64


def pipeline(**steps: Any) -> dict[str, Any]:
    return {"apiVersion": "animus/v1", "pipeline": "x", "image": IMAGE, "steps": steps}


def policy(**rule: Any) -> dict[str, Any]:
    whole = {"id": "a", "when": "true", "effect": "allow", "reason": "Why.", **rule}
    return {"schema": "animus.policy/v1", "rules": [whole]}


def told(read: Any, value: object) -> dict[str, str]:
    with pytest.raises(InvalidDocument) as caught:
        read(value)
    return {fault.pointer: fault.message for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("steps", "pointer", "said"),
    [
        ({"a": {"rum": "x"}}, "/steps/a/rum", "There is no key 'rum' here. Did you mean 'run'?"),
        ({"a": {}, "b": {"after": "zz"}}, "/steps/b/after", "There is no step 'zz'. Known: a, b."),
        (
            {"train": {}, "b": {"after": "trian"}},
            "/steps/b/after",
            "There is no step 'trian'. Did you mean 'train'?",
        ),
        ({"a": {"gpu": "2"}}, "/steps/a/gpu", "Write a whole number, without quotes."),
        ({"a": {"telemetry": "on"}}, "/steps/a/telemetry", "Write true or false, without quotes."),
        ({"a": ["x"]}, "/steps/a", "Write keys with values."),
        ({"a": {"out": {"m": {}}}}, "/steps/a/out/m/path", "The key 'path' is missing."),
    ],
)
def test_a_pipeline(steps: dict[str, Any], pointer: str, said: str) -> None:
    assert told(expand_pipeline, pipeline(**steps))[pointer] == said


@pytest.mark.parametrize(
    ("rule", "pointer", "said"),
    [
        (
            {"effect": "denny"},
            "/rules/0/effect",
            "Write one of: allow, require_approval, deny. Did you mean 'deny'?",
        ),
        ({"effect": 3}, "/rules/0/effect", "Write one of: allow, require_approval, deny."),
        (
            {"approval": {"role": "reviwer", "deadline": "1d"}},
            "/rules/0/approval/role",
            "Write one of: reviewer, admin. Did you mean 'reviewer'?",
        ),
    ],
)
def test_a_policy(rule: dict[str, Any], pointer: str, said: str) -> None:
    assert told(read_policy, policy(**rule))[pointer] == said


def test_an_environment_lock() -> None:
    lock = {
        "schema": "animus.environment-lock/v9",
        "images": [{"name": "a", "repositry": "x"}],
        "packages": [{"ecosystem": "condo"}],
    }
    found = told(lambda value: decode_document(EnvironmentLock, value, what="lock"), lock)
    assert found["/images/0/repositry"].endswith("Did you mean 'repository'?")
    assert found["/packages/0/ecosystem"].endswith("Did you mean 'conda'?")
    assert found["/packages/0/version"] == "The key 'version' is missing."


def test_a_name_that_is_near_is_suggested_and_others_are_listed() -> None:
    assert suggest("viewr", ["viewer", "editor"]) == "Did you mean 'viewer'?"
    assert suggest("zzz", ["viewer"]) == ""
    assert suggest_or_list("zzz", ["b", "a"]) == "Known: a, b."
    assert suggest_or_list("zzz", []) == "Known: none."
