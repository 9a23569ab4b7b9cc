"""RunSpec: the immutable snapshot of what a run is to do. Content only; no ids, no people."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from animus.domain.canonical import canonical_bytes
from animus.domain.code_refs import CodeRef, check_code_ref
from animus.domain.digests import Digest, digest_of_canonical
from animus.domain.documents import DigestText, Document, Name, SparseDocument
from animus.domain.errors import Fault, InvalidDocument
from animus.domain.parameters import check_parameters
from animus.domain.pipelines import PipelineSpec
from animus.domain.suggestions import suggest_or_list

TAG = "animus.run-spec/v1"
PIPELINE_TAG = "animus.pipeline/v1"
MAX_DATASETS = 500


class Classification(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class DatasetBinding(Document):
    alias: Name
    digest: DigestText
    """Of the dataset version's manifest."""


class RunSpec(SparseDocument):
    schema_: Annotated[Literal["animus.run-spec/v1"], Field(alias="schema")] = "animus.run-spec/v1"
    classification: Classification
    pipeline_digest: DigestText
    datasets: Annotated[tuple[DatasetBinding, ...], Field(max_length=MAX_DATASETS)] = ()
    """In alias order."""
    code: CodeRef | None = None
    environment_lock: DigestText | None = None
    parameters: dict[str, Any] = {}


def pipeline_bytes(pipeline: PipelineSpec) -> bytes:
    return canonical_bytes(pipeline.content())


def pipeline_digest(canonical: bytes) -> Digest:
    return digest_of_canonical(PIPELINE_TAG, canonical)


def run_spec_bytes(spec: RunSpec) -> bytes:
    return canonical_bytes(spec.content())


def run_spec_digest(canonical: bytes) -> Digest:
    return digest_of_canonical(TAG, canonical)


def check_run_spec(spec: RunSpec, pipeline: PipelineSpec) -> None:
    """Raise `InvalidDocument` where the spec does not fit its pipeline."""
    check_parameters(spec.parameters)
    if spec.code is not None:
        check_code_ref(spec.code)
    bound = [binding.alias for binding in spec.datasets]
    wanted = pipeline.dataset_aliases()
    faults = [
        Fault(pointer="/datasets", message=f"Bind the alias {alias!r} to a dataset version.")
        for alias in sorted(wanted - set(bound))
    ]
    faults += [
        Fault(
            pointer=f"/datasets/{alias}",
            message=f"The pipeline has no alias {alias!r}. {suggest_or_list(alias, wanted)}",
        )
        for alias in sorted(set(bound) - wanted)
    ]
    if len(set(bound)) != len(bound):
        faults.append(Fault(pointer="/datasets", message="An alias is bound twice."))
    if faults:
        raise InvalidDocument("The dataset bindings do not fit the pipeline.", faults)
