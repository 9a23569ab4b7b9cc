"""A laptop reads a pipeline as the platform does: two implementations, the same documents."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from animus_sdk.local.pipelines import PipelineUnfit, explicit_form, read_pipeline
from animus_sdk.local.steps import parameter_variables, read_step
from hypothesis import given
from hypothesis import strategies as st

from animus.domain import parameters
from animus.domain.canonical import canonical_bytes
from animus.domain.errors import InvalidDocument
from animus.domain.pipeline_expansion import expand_pipeline
from animus.domain.pipelines import Step
from animus.domain.retries import backoff_seconds
from tests.support.documents import DIGEST_B, IMAGE, explicit_pipeline, explicit_step, output

OTHER = f"registry.example/other@{DIGEST_B}"
ALL_OF_IT: dict[str, Any] = {
    "apiVersion": "animus/v1",
    "pipeline": "churn",
    "description": "All that the short form has.",
    "labels": {"team": "risk"},
    "image": IMAGE,
    "cpu": 2,
    "memory": "2Gi",
    "storage": "500M",
    "timeout": "10m",
    "attempts": 3,
    "env": {"SEED": 7, "RATE": 0.5, "NAME": "x"},
    "steps": {
        "validate": {"run": "python3 validate.py", "data": "cancer", "out": "report"},
        "train": {
            "run": ["python3", "train.py", "--fast"],
            "after": "validate",
            "data": ["cancer", "extra"],
            "out": {
                "model": {"path": "m/model.joblib", "type": "model", "mediaType": "a/b"},
                "plot": "roc.PNG",
                "more": {"path": "more.json", "optional": True, "description": "Perhaps."},
            },
            "image": OTHER,
            "gpu": 1,
            "gpuResource": "nvidia.com/gpu",
            "env": {"SEED": "8"},
            "egress": ["pypi.example.org:443", {"host": "a.b", "port": 1}, "a.b:1"],
            "secrets": {"token": "team/token"},
            "telemetry": True,
        },
        "evaluate": {"in": {"m": "train.model"}, "data": {"d": "cancer"}, "cpu": "250m"},
        "again": {"in": ["train.model", "train.plot"], "after": ["evaluate", "validate"]},
    },
}
GOOD: dict[str, dict[str, Any]] = {
    "all of the short form": ALL_OF_IT,
    "the least": {"apiVersion": "animus/v1", "pipeline": "p", "steps": {"a": {"image": IMAGE}}},
    "the explicit form": explicit_pipeline(
        explicit_step("b", outputs={"artifacts": [output("m")]}),
        explicit_step(
            "a",
            inputs={"datasets": [], "artifacts": [{"name": "m", "fromStep": "b", "artifact": "m"}]},
        ),
        edges=[("b", "a")],
    ),
}
CHANGES: dict[str, tuple[str, Any]] = {
    "an unknown key": ("/pipelin", "x"),
    "an unknown key of a step": ("/steps/train/telemtry", True),
    "no steps": ("/steps", {}),
    "a step that is none": ("/steps/train", "python3 train.py"),
    "a name that is none": ("/pipeline", "a/b"),
    "a step's name that is none": ("/steps/-x", {"run": "x"}),
    "a cpu that is none": ("/steps/train/cpu", "many"),
    "no cpu at all": ("/cpu", 0),
    "too little memory": ("/memory", "1Mi"),
    "a memory that is none": ("/steps/train/memory", "2 GB"),
    "a memory that is a number": ("/steps/train/memory", 512),
    "a storage that is none": ("/storage", "x"),
    "a timeout that is none": ("/timeout", "10 minutes"),
    "a timeout that is too long": ("/timeout", "8d"),
    "no attempts": ("/steps/train/attempts", 0),
    "too many attempts": ("/attempts", 21),
    "attempts as a text": ("/attempts", "3"),
    "too many devices": ("/steps/train/gpu", 65),
    "a variable of ours": ("/env/ANIMUS_X", "1"),
    "a variable that is none": ("/steps/train/env/a-b", "1"),
    "a variable that is a list": ("/env/X", [1]),
    "an empty command": ("/steps/train/run", ""),
    "a command that is none": ("/steps/train/run", 7),
    "data that is none": ("/steps/train/data", 7),
    "an alias that is none": ("/steps/train/data", "a b"),
    "an input of a step that is not there": ("/steps/evaluate/in", "absent.model"),
    "an input that is not made": ("/steps/evaluate/in", "train.absent"),
    "an input that is no artifact": ("/steps/evaluate/in", "train"),
    "an input and data of one name": ("/steps/evaluate/in", {"d": "train.model"}),
    "an output outside": ("/steps/train/out", "../x"),
    "an output without a path": ("/steps/train/out/model", {"type": "model"}),
    "an output with an unknown key": ("/steps/train/out/model", {"path": "m", "paht": "m"}),
    "outputs that overlap": ("/steps/train/out/model", {"path": "more.json/x"}),
    "a media type that is none": ("/steps/train/out/model", {"path": "m", "mediaType": "x"}),
    "a step after one that is not there": ("/steps/train/after", "absent"),
    "a step after itself": ("/steps/train/after", "train"),
    "a circle": ("/steps/validate/after", "again"),
    "egress that is none": ("/steps/train/egress", "example"),
    "egress to no port": ("/steps/train/egress", "a.b:0"),
    "a secret that is a list": ("/steps/train/secrets", ["x"]),
    "a secret's place that is none": ("/steps/train/secrets", {"x": "/x"}),
    "telemetry that is none": ("/steps/train/telemetry", "yes"),
    "another version": ("/apiVersion", "animus/v2"),
}


@pytest.mark.parametrize("written", GOOD.values(), ids=GOOD)
def test_the_explicit_form_is_the_platforms(written: dict[str, Any]) -> None:
    there = expand_pipeline(written).content()
    assert canonical_bytes(explicit_form(written)) == canonical_bytes(there)
    assert canonical_bytes(explicit_form(there)) == canonical_bytes(there)


@pytest.mark.parametrize(("pointer", "value"), CHANGES.values(), ids=CHANGES)
def test_what_the_platform_refuses_is_refused_here_at_the_same_place(
    pointer: str, value: Any
) -> None:
    written = _changed(pointer, value)
    with pytest.raises(InvalidDocument) as there:
        expand_pipeline(written)
    with pytest.raises(PipelineUnfit) as here:
        explicit_form(written)
    refused = {_near(fault.pointer) for fault in there.value.faults}
    assert {_near(fault.pointer) for fault in here.value.errors} & refused
    assert all(fault.message.endswith((".", "?")) for fault in here.value.errors)


def test_a_tag_is_no_fault_here() -> None:
    found = read_pipeline(_changed("/image", "registry.example/train:1.4"))
    assert {step.image for step in found.steps} == {"registry.example/train:1.4", OTHER}


def test_steps_come_in_an_order_in_which_they_can_run() -> None:
    found = read_pipeline(ALL_OF_IT)
    assert [step.name for step in found.steps] == ["validate", "train", "evaluate", "again"]
    assert found.aliases == {"cancer", "extra"}


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True), st.one_of(
    st.text(), st.integers(-(2**53) + 1, 2**53 - 1), st.booleans(), st.none(),
    st.floats(allow_nan=False, allow_infinity=False), st.lists(st.integers(0, 3), max_size=2),
), max_size=4))  # fmt: skip
def test_parameters_are_the_same_variables(said: dict[str, Any]) -> None:
    try:
        there = parameters.environment(said)
    except ValueError:
        return  # no canonical form: refused before in both
    assert parameter_variables(said) == there


@pytest.mark.parametrize("kind", ["fixed", "exponential"])
@pytest.mark.parametrize("longest", [0, 7])
def test_back_off_is_the_same(kind: str, longest: int) -> None:
    backoff = {"type": kind, "initialSeconds": 3, "maxSeconds": longest, "multiplier": 1.5}
    said = explicit_step(retryPolicy={"maxAttempts": 9, "backoff": backoff})
    policy, here = Step.model_validate(said).retryPolicy, read_step(said).retries
    for number in range(1, 9):
        assert here.seconds_after(number) == backoff_seconds(policy, after_attempt=number)


def _changed(pointer: str, value: Any) -> dict[str, Any]:
    written = deepcopy(ALL_OF_IT)
    *above, last = pointer.split("/")[1:]
    place = written
    for key in above:
        place = place[key]
    place[last] = value
    return written


def _near(pointer: str) -> str:
    """As far as a person reads it: the key of the step."""
    return "/".join(pointer.split("/")[:4])
