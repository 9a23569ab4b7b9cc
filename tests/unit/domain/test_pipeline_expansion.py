"""The three ways to write a pipeline, and the one form that is stored."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from animus.domain.errors import Fault, InvalidDocument
from animus.domain.pipeline_expansion import ALPHA_TIMEOUT_SECONDS, expand_pipeline
from animus.domain.pipelines import MAX_STEPS, PipelineSpec, Step
from animus.domain.run_specs import pipeline_bytes
from tests.support.documents import (
    DIGEST_B,
    IMAGE,
    explicit_pipeline,
    explicit_step,
    output,
    short_pipeline,
)

THREE_STEPS = f"""\
apiVersion: animus/v1
pipeline: breast-cancer
image: {IMAGE}
steps:
  validate:
    run: python validate.py
    data: cancer
    out: report.json
  train:
    run: python train.py
    data: cancer
    after: validate
    out: {{model: model.joblib, metrics: metrics.json}}
    memory: 2Gi
    attempts: 3
  evaluate:
    run: [python, evaluate.py, --plot]
    data: cancer
    in: train.model
    out: [roc.png, confusion.png]
    telemetry: true
"""


def steps_of(spec: PipelineSpec) -> dict[str, Step]:
    return {step.name: step for step in spec.spec.steps}


def only_step(**said: Any) -> Step:
    return expand_pipeline(short_pipeline(a=said)).spec.steps[0]


def faults_of(written: object) -> list[Fault]:
    with pytest.raises(InvalidDocument) as refused:
        expand_pipeline(written)
    return list(refused.value.faults)


def test_three_steps_in_twenty_lines_become_all_that_is_executed() -> None:
    assert len(THREE_STEPS.splitlines()) <= 22
    spec = expand_pipeline(yaml.safe_load(THREE_STEPS))
    assert [step.name for step in spec.spec.steps] == ["validate", "train", "evaluate"]
    assert [(edge.from_, edge.to) for edge in spec.spec.dependencies] == [
        ("train", "evaluate"), ("validate", "train"),
    ]  # fmt: skip
    steps = steps_of(spec)
    assert {step.image for step in steps.values()} == {IMAGE}
    assert steps["validate"].command == ("/bin/sh", "-eu", "-c")
    assert steps["evaluate"].command == ("python", "evaluate.py", "--plot")
    assert steps["train"].resources.memory == "2Gi"
    assert steps["train"].retryPolicy.maxAttempts == 3
    assert [o.mediaType for o in steps["evaluate"].outputs.artifacts] == ["image/png"] * 2
    assert spec.dataset_aliases() == {"cancer"}


def test_the_explicit_form_expands_to_itself() -> None:
    once = expand_pipeline(yaml.safe_load(THREE_STEPS))
    again = expand_pipeline(once.content())
    assert again == once
    assert pipeline_bytes(again) == pipeline_bytes(once)


def test_nothing_that_a_step_is_given_is_left_out_of_the_explicit_form() -> None:
    content = expand_pipeline(short_pipeline()).content()["spec"]["steps"][0]
    assert set(content) == set(explicit_step())


def test_a_published_v1alpha1_pipeline_is_accepted() -> None:
    step = explicit_step("train", outputs={"artifacts": [{"name": "model", "type": "model"}]})
    for key in ("timeoutSeconds", "egress", "secrets", "telemetry"):
        del step[key]
    del step["resources"]["ephemeralStorage"]
    written = explicit_pipeline(step) | {"apiVersion": "animus/v1alpha1"}
    spec = expand_pipeline(written)
    (read,) = spec.spec.steps
    assert spec.apiVersion == "animus/v1"
    assert (read.timeoutSeconds, read.egress, read.secrets) == (ALPHA_TIMEOUT_SECONDS, (), ())
    assert (read.telemetry, read.outputs.artifacts[0].path) == (False, "model")


def test_a_v1alpha1_pipeline_may_leave_out_its_metadata() -> None:
    step = {
        k: v
        for k, v in explicit_step().items()
        if k not in ("timeoutSeconds", "egress", "secrets", "telemetry")
    }
    written = explicit_pipeline(step) | {"apiVersion": "animus/v1alpha1"}
    del written["metadata"]
    assert expand_pipeline(written).metadata.name == "pipeline"


def test_what_is_new_in_v1_is_refused_in_v1alpha1_with_what_to_do() -> None:
    written = explicit_pipeline(explicit_step()) | {"apiVersion": "animus/v1alpha1"}
    (fault,) = faults_of(written)
    assert fault.pointer == "/spec/steps/0/timeoutSeconds"
    assert "needs apiVersion: animus/v1" in fault.message


@pytest.mark.parametrize(
    "key",
    ["command", "args", "inputs", "outputs", "env", "resources", "retryPolicy", "timeoutSeconds",
     "egress", "secrets", "telemetry", "image", "name"],
)  # fmt: skip
def test_the_explicit_form_has_no_hidden_defaults(key: str) -> None:
    step = explicit_step()
    del step[key]
    assert f"/spec/steps/0/{key}" in [fault.pointer for fault in faults_of(explicit_pipeline(step))]


@pytest.mark.parametrize(
    ("written", "pointer"),
    [
        (None, ""),
        ([], ""),
        ("pipeline", ""),
        ({}, "/apiVersion"),
        ({"apiVersion": "animus/v2"}, "/apiVersion"),
        ({"apiVersion": ["animus/v1"]}, "/apiVersion"),
        (explicit_pipeline() | {"kind": "Job"}, "/kind"),
        (explicit_pipeline() | {"specVersion": ""}, "/specVersion"),
        (short_pipeline() | {"steps": {}}, "/steps"),
        (short_pipeline() | {"steps": []}, "/steps"),
        (short_pipeline() | {"image": "python:3.12"}, "/image"),
        (short_pipeline() | {"pipeline": "a b"}, "/pipeline"),
        (short_pipeline() | {"labels": {"a": "x" * 257}}, "/labels"),
        (short_pipeline() | {"description": "x" * 2_001}, "/description"),
        (short_pipeline() | {"kind": "Pipeline"}, "/kind"),
    ],
)
def test_what_is_no_pipeline_is_refused_at_its_place(written: Any, pointer: str) -> None:
    assert [fault.pointer for fault in faults_of(written)] == [pointer]


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"comand": "x"}, "/steps/a/comand"),
        ({"run": ""}, "/steps/a/run"),
        ({"run": 5}, "/steps/a/run"),
        ({"run": ["x"] * 1_025}, "/steps/a/run"),
        ({"data": {"a": 5}}, "/steps/a/data/a"),
        ({"data": ["a b"]}, "/steps/a/data"),
        ({"in": "model"}, "/steps/a/in"),
        ({"out": {"m": {"path": "../m"}}}, "/steps/a/out/m/path"),
        ({"out": {"m": {"path": "m", "mediatype": "a/b"}}}, "/steps/a/out/m/mediatype"),
        ({"out": "/etc/passwd"}, "/steps/a/out"),
        ({"env": {"1X": "y"}}, "/steps/a/env/1X"),
        ({"env": {"X": None}}, "/steps/a/env/X"),
        ({"env": {f"X{n}": "y" for n in range(257)}}, "/steps/a/env"),
        ({"egress": "host"}, "/steps/a/egress"),
        ({"egress": ["host:70000"]}, "/steps/a/egress/0"),
        ({"egress": [{"host": "h", "port": 0}]}, "/steps/a/egress/0/port"),
        ({"secrets": {"a b": "p"}}, "/steps/a/secrets/a b"),
        ({"secrets": {"s": "../p"}}, "/steps/a/secrets"),
        ({"cpu": "lots"}, "/steps/a/cpu"),
        ({"memory": "1.5Gi"}, "/steps/a/memory"),
        ({"storage": "0"}, "/steps/a/storage"),
        ({"gpu": -1}, "/steps/a/gpu"),
        ({"timeout": "1w"}, "/steps/a/timeout"),
        ({"timeout": "8d"}, "/steps/a/timeout"),
        ({"timeout": 0}, "/steps/a/timeout"),
        ({"attempts": 0}, "/steps/a/attempts"),
        ({"attempts": 21}, "/steps/a/attempts"),
        ({"telemetry": "true"}, "/steps/a/telemetry"),
        ({"image": "a/b:latest"}, "/steps/a/image"),
    ],
)
def test_a_fault_in_the_short_form_is_told_where_it_was_written(
    said: dict[str, Any], pointer: str
) -> None:
    assert {fault.pointer for fault in faults_of(short_pipeline(a=said))} == {pointer}


def test_a_step_without_any_image_is_told_to_name_one() -> None:
    written = short_pipeline()
    del written["image"]
    (fault,) = faults_of(written)
    assert (fault.pointer, "pinned by digest" in fault.message) == ("/steps/train", True)


def test_a_steps_own_image_wins_over_the_shared_one() -> None:
    own = IMAGE.replace("a" * 64, DIGEST_B.removeprefix("sha256:"))
    assert only_step(image=own).image == own


def test_a_string_is_given_to_a_shell_and_a_list_is_run_as_it_is() -> None:
    assert only_step(run="a && b").args == ("a && b",)
    assert (only_step(run=["a", "b"]).command, only_step(run=["a", "b"]).args) == (("a", "b"), ())
    assert (only_step().command, only_step().args) == ((), ())


@pytest.mark.parametrize("written", ["d", ["d"], {"d": "d"}])
def test_data_may_be_a_name_a_list_or_a_map(written: Any) -> None:
    (read,) = only_step(data=written).inputs.datasets
    assert (read.name, read.datasetRef) == ("d", "d")


@pytest.mark.parametrize("written", ["b.m", ["b.m"], {"m": "b.m"}])
def test_an_artifact_input_may_be_a_name_a_list_or_a_map_and_brings_its_edge(written: Any) -> None:
    spec = expand_pipeline(short_pipeline(a={"in": written}, b={"out": "m"}))
    (read,) = steps_of(spec)["a"].inputs.artifacts
    assert (read.name, read.fromStep, read.artifact) == ("m", "b", "m")
    assert [(edge.from_, edge.to) for edge in spec.spec.dependencies] == [("b", "a")]


@pytest.mark.parametrize("written", ["m", ["m"], {"m": "m"}, {"m": {"path": "m"}}])
def test_an_output_may_be_a_name_a_list_or_a_map(written: Any) -> None:
    (read,) = only_step(out=written).outputs.artifacts
    assert (read.name, read.path, read.type, read.optional) == ("m", "m", "file", False)


def test_an_input_and_an_after_of_the_same_step_are_one_edge() -> None:
    spec = expand_pipeline(short_pipeline(a={"in": "b.m", "after": ["b", "b"]}, b={"out": "m"}))
    assert len(spec.spec.dependencies) == 1


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("7d", 604_800), (5, 5)]
)
def test_a_timeout_may_have_a_unit(written: Any, seconds: int) -> None:
    assert only_step(timeout=written).timeoutSeconds == seconds


def test_numbers_in_the_environment_and_of_cores_become_text() -> None:
    step = only_step(env={"SEED": 7, "RATE": 0.5}, cpu=2)
    assert {v.name: v.value for v in step.env} == {"SEED": "7", "RATE": "0.5"}
    assert step.resources.cpu == "2"


def test_what_a_step_says_wins_over_what_the_pipeline_says_and_that_over_our_defaults() -> None:
    written = short_pipeline(a={"memory": "4Gi", "env": {"X": "own"}}, b={})
    written |= {"memory": "2Gi", "cpu": "3", "env": {"X": "shared", "Y": "shared"}}
    steps = steps_of(expand_pipeline(written))
    assert (steps["a"].resources.memory, steps["b"].resources.memory) == ("4Gi", "2Gi")
    assert (steps["a"].resources.cpu, steps["a"].resources.ephemeralStorage) == ("3", "1Gi")
    assert {v.name: v.value for v in steps["a"].env} == {"X": "own", "Y": "shared"}


def test_the_largest_pipeline_is_accepted_and_one_step_more_is_not() -> None:
    largest = {f"s{n}": {"run": "x"} for n in range(MAX_STEPS)}
    assert len(expand_pipeline(short_pipeline(**largest)).spec.steps) == MAX_STEPS
    assert faults_of(short_pipeline(**largest, one_more={}))[0].pointer == "/steps"


def test_an_output_in_a_published_form_may_say_its_own_path() -> None:
    step = explicit_step(outputs={"artifacts": [output("m", path="sub/m.bin", optional=True)]})
    (read,) = expand_pipeline(explicit_pipeline(step)).spec.steps[0].outputs.artifacts
    assert (read.path, read.optional) == ("sub/m.bin", True)
