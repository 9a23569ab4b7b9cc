"""The short form of a pipeline, as people write it. `pipeline_expansion` makes it explicit."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from animus.domain import patterns
from animus.domain.documents import Bool, Int, Name, SparseDocument, Text
from animus.domain.pipelines import (
    MAX_PORTS,
    MAX_STEPS,
    MAX_TIMEOUT_SECONDS,
    EgressRule,
    EnvName,
    GpuResource,
    Host,
    ImageRef,
    MediaType,
    OutputPath,
    Word,
)
from animus.domain.retries import MAX_ATTEMPTS

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _named_after_themselves(value: Any) -> Any:
    """'a' or ['a', 'b'] are short for {'a': 'a', 'b': 'b'}."""
    listed = _listed(value)
    if isinstance(listed, list) and all(isinstance(item, str) for item in listed):
        return {item: item for item in listed}
    return listed


def _named_after_the_artifact(value: Any) -> Any:
    """'train.model' is short for {'model': 'train.model'}."""
    listed = _listed(value)
    if isinstance(listed, list) and all(isinstance(item, str) for item in listed):
        return {item.partition(".")[2] or item: item for item in listed}
    return listed


def _output_documents(value: Any) -> Any:
    named = _named_after_themselves(value)
    if not isinstance(named, dict):
        return named
    return {k: {"path": v} if isinstance(v, str) else v for k, v in named.items()}


def seconds_of(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not re.fullmatch(patterns.DURATION, value):
        raise ValueError(patterns.READABLE[patterns.DURATION])
    return int(value[:-1]) * _SECONDS[value[-1]]


def _host_and_port(value: Any) -> Any:
    if isinstance(value, str):
        host, _, port = value.rpartition(":")
        return {"host": host, "port": int(port) if port.isdecimal() else port}
    return value


def _texts(value: Any) -> Any:
    """Environment values are text; YAML reads `SEED: 7` as a number."""
    if not isinstance(value, dict):
        return value
    numbers = {k: str(v) for k, v in value.items() if type(v) in (int, float)}
    return {**value, **numbers}


_Names = Annotated[
    tuple[Name, ...],
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    Field(max_length=MAX_STEPS),
]
_Data = Annotated[
    dict[Name, Name],
    BeforeValidator(
        _named_after_themselves, json_schema_input_type=str | list[str] | dict[str, str]
    ),
    Field(max_length=MAX_PORTS),
]
_StepArtifact = Annotated[str, StringConstraints(pattern=patterns.STEP_ARTIFACT)]
_In = Annotated[
    dict[Name, _StepArtifact],
    BeforeValidator(
        _named_after_the_artifact, json_schema_input_type=str | list[str] | dict[str, str]
    ),
    Field(max_length=MAX_PORTS),
]
_Env = Annotated[
    dict[EnvName, Word],
    BeforeValidator(_texts, json_schema_input_type=dict[str, str | int | float]),
]
_Seconds = Annotated[
    Int,
    BeforeValidator(
        seconds_of,
        json_schema_input_type=Int | Annotated[str, StringConstraints(pattern=patterns.DURATION)],
    ),
    Field(ge=1, le=MAX_TIMEOUT_SECONDS),
]
_Egress = Annotated[EgressRule, BeforeValidator(_host_and_port, json_schema_input_type=Host)]
_Cpu = Annotated[
    str,
    BeforeValidator(
        lambda v: str(v) if type(v) in (int, float) else v, json_schema_input_type=str | int | float
    ),
    StringConstraints(pattern=patterns.CPU),
]
_Bytes = Annotated[str, StringConstraints(pattern=patterns.BYTES)]


class ShortOutput(SparseDocument):
    path: OutputPath
    type: Name = "file"
    mediaType: MediaType | None = None
    description: Text | None = None
    optional: Bool = False


_Out = Annotated[
    dict[Name, ShortOutput],
    BeforeValidator(
        _output_documents,
        json_schema_input_type=str | list[str] | dict[str, str | ShortOutput],
    ),
    Field(max_length=MAX_PORTS),
]


class Defaults(SparseDocument):
    """What a step may leave to the pipeline, and the pipeline to us."""

    image: ImageRef | None = None
    cpu: _Cpu | None = None
    memory: _Bytes | None = None
    gpu: Annotated[Int, Field(ge=0, le=64)] | None = None
    gpuResource: GpuResource | None = None
    storage: _Bytes | None = None
    timeout: _Seconds | None = None
    attempts: Annotated[Int, Field(ge=1, le=MAX_ATTEMPTS)] | None = None
    env: _Env = {}


class ShortStep(Defaults):
    run: Annotated[str, StringConstraints(min_length=1)] | tuple[Word, ...] | None = None
    """A string is given to /bin/sh -eu; a list is run as it is; nothing: the image's entry."""
    data: _Data = {}
    in_: Annotated[_In, Field(alias="in")] = {}
    out: _Out = {}
    after: _Names = ()
    egress: Annotated[
        tuple[_Egress, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str])
    ] = ()
    secrets: Annotated[dict[Name, str], Field(max_length=MAX_PORTS)] = {}
    telemetry: Bool = False


class ShortPipeline(Defaults):
    apiVersion: Literal["animus/v1"]
    pipeline: Name
    description: Text | None = None
    labels: dict[Name, str] = {}
    steps: Annotated[dict[Name, ShortStep], Field(min_length=1, max_length=MAX_STEPS)]
