"""A pipeline as people write it, read for this machine without asking a platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from animus_sdk.errors import AnswerUnfit, Fault, FileUnfit
from animus_sdk.local.pipeline_rules import faults_of, in_normal_order
from animus_sdk.local.short_form import ShortForm, place_of
from animus_sdk.local.steps import LocalStep, StepDocument, read_step
from animus_sdk.wire.decoding import decode

API_VERSION = "animus/v1"


class PipelineUnfit(FileUnfit):
    """With every fault, and its place in what was written."""

    default_code = "invalid_document"

    def __init__(self, message: str, errors: tuple[Fault, ...]) -> None:
        super().__init__(message)
        self.errors = errors

    def problem(self) -> dict[str, Any]:
        said = [{"pointer": f.pointer, "message": f.message, "code": f.code} for f in self.errors]
        return {**super().problem(), "errors": said}


class _Metadata(TypedDict):
    name: str


class _Graph(TypedDict):
    steps: list[StepDocument]
    dependencies: list[dict[str, str]]


class _Explicit(TypedDict):
    metadata: _Metadata
    spec: _Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPipeline:
    name: str
    steps: tuple[LocalStep, ...]
    """In an order in which they can be run."""

    @property
    def aliases(self) -> frozenset[str]:
        """Of the datasets that it reads."""
        return frozenset(alias for step in self.steps for alias in step.datasets.values())


def read_pipeline(written: Mapping[str, Any]) -> LocalPipeline:
    """Raises `PipelineUnfit`."""
    document = explicit_form(written)
    return LocalPipeline(
        name=document["metadata"]["name"],
        steps=tuple(read_step(step) for step in document["spec"]["steps"]),
    )


def explicit_form(written: Mapping[str, Any]) -> dict[str, Any]:
    """As the platform would store it, but for images by tag. Raises `PipelineUnfit`."""
    if written.get("apiVersion") != API_VERSION:
        raise _unfit(Fault(pointer="/apiVersion", message=_VERSION, code="invalid"))
    if "pipeline" in written or ("steps" in written and "kind" not in written):
        return _of_short_form(written)
    try:
        document: dict[str, Any] = {**decode(_Explicit, written)}
    except AnswerUnfit as error:
        why = error.message.partition("(")[2].partition(")")[0]
        fault = Fault(pointer="", message=f"In the explicit form, {why}.", code="invalid")
        raise _unfit(fault) from None
    found = tuple(faults_of(document))
    if found:
        raise _unfit(*found)
    return in_normal_order(document)


def _of_short_form(written: Mapping[str, Any]) -> dict[str, Any]:
    reader = ShortForm()
    document = reader.explicit(written)
    if reader.faults:
        raise _unfit(*reader.faults)
    found = [
        replace(fault, pointer=place_of(fault.pointer, reader.places))
        for fault in faults_of(document)
    ]
    if found:
        raise _unfit(*dict.fromkeys(found))
    return in_normal_order(document)


def _unfit(*faults: Fault) -> PipelineUnfit:
    return PipelineUnfit("This pipeline cannot be run.", faults)


_VERSION = (
    f"apiVersion must be '{API_VERSION}'. What is older is run by a platform alone, with"
    " 'animus run submit'."
)
