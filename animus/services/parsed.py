"""Documents read from their canonical bytes, remembered: the same bytes mean the same document."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import orjson

from animus.domain.canonical import JsonObject, decode_strictly
from animus.domain.digests import Digest
from animus.domain.environment_locks import EnvironmentLock
from animus.domain.pipeline_expansion import expand_pipeline
from animus.domain.pipelines import PipelineSpec
from animus.domain.plans import PlanDocument
from animus.domain.policies import PolicyDocument
from animus.domain.quotas import Quantities, parse_limits
from animus.domain.run_specs import RunSpec, pipeline_bytes, pipeline_digest
from animus.domain.work_orders import Assignment

REMEMBERED = 256
LARGEST_REMEMBERED = 65_536  # bytes of a written pipeline; a larger one is expanded each time


@lru_cache(maxsize=REMEMBERED)
def pipeline_of(canonical: bytes) -> PipelineSpec:
    return PipelineSpec.model_validate(decode_strictly(canonical))


@lru_cache(maxsize=REMEMBERED)
def lock_of(canonical: bytes) -> EnvironmentLock:
    return EnvironmentLock.model_validate(decode_strictly(canonical))


@lru_cache(maxsize=REMEMBERED)
def policy_of(canonical: bytes) -> PolicyDocument:
    return PolicyDocument.model_validate(decode_strictly(canonical))


@lru_cache(maxsize=REMEMBERED)
def plan_of(canonical: bytes) -> PlanDocument:
    return PlanDocument.model_validate(decode_strictly(canonical))


@lru_cache(maxsize=REMEMBERED)
def run_spec_of(canonical: bytes) -> RunSpec:
    return RunSpec.model_validate(decode_strictly(canonical))


@lru_cache(maxsize=REMEMBERED)
def assignment_of(canonical: bytes) -> Assignment:
    return Assignment.model_validate(decode_strictly(canonical))


@lru_cache(maxsize=REMEMBERED)
def limits_in(canonical: bytes) -> Quantities:
    """Of a quota or a capacity, in base units."""
    return parse_limits(decode_strictly(canonical))


@lru_cache(maxsize=REMEMBERED)
def peak_in(canonical: bytes) -> Quantities:
    peak: Quantities = decode_strictly(canonical)
    return peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Expanded:
    """A pipeline in its explicit form, with the bytes and the digest that it is kept by."""

    spec: PipelineSpec
    canonical: bytes
    digest: Digest


def expanded(written: JsonObject) -> Expanded:
    """`expand_pipeline`, remembered for what is submitted again and again."""
    as_written = orjson.dumps(written)
    if len(as_written) > LARGEST_REMEMBERED:
        return with_digest(expand_pipeline(written))
    return _expanded(as_written)


@lru_cache(maxsize=REMEMBERED)
def _expanded(written: bytes) -> Expanded:
    return with_digest(expand_pipeline(orjson.loads(written)))


def with_digest(spec: PipelineSpec) -> Expanded:
    canonical = pipeline_bytes(spec)
    return Expanded(spec=spec, canonical=canonical, digest=pipeline_digest(canonical))
