"""Documents: closed, strict, and helpful about what is wrong and where."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest

import animus.domain
from animus.domain.documents import Document, SparseDocument, decode_document
from animus.domain.environment_locks import EnvironmentDefinition, EnvironmentLock
from animus.domain.errors import Fault, InvalidDocument
from animus.domain.pipelines import PipelineSpec, Step
from animus.domain.plans import PlanBody
from animus.domain.run_specs import RunSpec
from tests.support.documents import DIGEST_A, environment, explicit_pipeline, explicit_step, lock


def faults_of(model: Any, value: object) -> tuple[Fault, ...]:
    with pytest.raises(InvalidDocument) as refused:
        decode_document(model, value, what="document")
    return refused.value.faults


def test_a_mistyped_key_is_named_with_the_one_that_was_meant() -> None:
    step = explicit_step()
    step["retrypolicy"] = step.pop("retryPolicy")
    said = {f.pointer: f.message for f in faults_of(PipelineSpec, explicit_pipeline(step))}
    assert "Did you mean 'retryPolicy'?" in said["/spec/steps/0/retrypolicy"]
    assert "missing" in said["/spec/steps/0/retryPolicy"]


def test_a_mistyped_key_deep_inside_is_compared_with_its_own_siblings() -> None:
    broken = lock()
    broken["packages"][0]["vesrion"] = broken["packages"][0].pop("version")
    said = {f.pointer: f.message for f in faults_of(EnvironmentLock, broken)}
    assert "Did you mean 'version'?" in said["/packages/0/vesrion"]


def test_a_key_like_no_other_is_answered_with_those_that_are_known() -> None:
    (fault,) = faults_of(EnvironmentDefinition, environment() | {"zzz": 1})
    assert "Known keys: description, images, name" in fault.message


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image": "python:3.12"}, "A tag can be moved"),
        ({"image": f"a b@{DIGEST_A}"}, "pinned by digest"),
        ({"name": "-x"}, "begins and ends with a letter or digit"),
        ({"env": [{"name": "1X", "value": ""}]}, "does not begin with a digit"),
        ({"egress": [{"host": "EXAMPLE.org", "port": 1}]}, "lower-case DNS name"),
        ({"secrets": [{"name": "s", "secretRef": "../x"}]}, "no part begins with '.'"),
    ],
)
def test_a_pattern_is_explained_in_words(change: dict[str, Any], sentence: str) -> None:
    (fault,) = faults_of(PipelineSpec, explicit_pipeline(explicit_step(**change)))
    assert sentence in fault.message


@pytest.mark.parametrize(
    "change",
    [
        {"telemetry": "yes"},
        {"telemetry": 1},
        {"timeoutSeconds": "60"},
        {"timeoutSeconds": 60.5},
        {"timeoutSeconds": True},
        {"command": "python train.py"},
        {"name": 7},
    ],
)
def test_a_value_never_changes_its_type_on_the_way_in(change: dict[str, Any]) -> None:
    assert faults_of(PipelineSpec, explicit_pipeline(explicit_step(**change)))


def test_every_fault_is_told_at_once() -> None:
    step = explicit_step(name="", timeoutSeconds=0, telemetry=None)
    pointers = {fault.pointer for fault in faults_of(PipelineSpec, explicit_pipeline(step))}
    assert pointers == {
        "/spec/steps/0/name", "/spec/steps/0/timeoutSeconds", "/spec/steps/0/telemetry",
    }  # fmt: skip


def test_values_are_not_repeated_in_what_is_said() -> None:
    secret = "correct-horse-battery-staple"
    step = explicit_step(image=secret, timeoutSeconds=secret)
    assert all(
        secret not in fault.message for fault in faults_of(PipelineSpec, explicit_pipeline(step))
    )


def test_what_is_absent_is_left_out_of_the_content() -> None:
    assert "index_digest" not in EnvironmentLock.model_validate(lock()).content()["images"][0]


def _documents(base: type[Document] = Document) -> Iterator[type[Document]]:
    for document in base.__subclasses__():
        yield document
        yield from _documents(document)


def _may_be_absent(annotation: Any) -> bool:
    if annotation is None or annotation is type(None) or annotation is Any:
        return True
    is_union = get_origin(annotation) in (Union, UnionType)
    return is_union and any(map(_may_be_absent, get_args(annotation)))


def test_every_document_with_a_field_that_may_be_absent_leaves_it_out() -> None:
    for module in iter_modules(animus.domain.__path__, "animus.domain."):
        import_module(module.name)
    sparse = [
        document
        for document in _documents()
        if any(_may_be_absent(field.annotation) for field in document.model_fields.values())
    ]
    assert Step not in sparse
    assert {RunSpec, PlanBody} <= set(sparse)
    assert [document for document in sparse if not issubclass(document, SparseDocument)] == []
