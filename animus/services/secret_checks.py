"""Where in a request credentials are looked for: parameters, labels, env and command lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from animus.domain.canonical import pointer_token
from animus.domain.parameters import leaves
from animus.domain.pipelines import PipelineSpec
from animus.domain.secret_patterns import check_for_secrets


def check_pipeline(spec: PipelineSpec, *, allowed: frozenset[str]) -> None:
    check_for_secrets(_pipeline_texts(spec), allowed=allowed)


def check_request(
    spec: PipelineSpec,
    *,
    parameters: Mapping[str, Any],
    texts: Mapping[str, Any],
    allowed: frozenset[str],
) -> None:
    """`texts` are further members of the request by name, such as labels and reason."""
    check_for_secrets(_all_texts(spec, parameters, texts), allowed=allowed)


def _all_texts(
    spec: PipelineSpec, parameters: Mapping[str, Any], texts: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    yield from leaves(parameters, "/parameters")
    for name, value in texts.items():
        yield from leaves(value, f"/{name}")
    yield from _pipeline_texts(spec)


def _pipeline_texts(spec: PipelineSpec) -> Iterator[tuple[str, str]]:
    yield from leaves(spec.metadata.labels, "/pipeline/labels")
    for step in spec.spec.steps:
        place = f"/pipeline/steps/{pointer_token(step.name)}"
        for variable in step.env:
            yield f"{place}/env/{variable.name}", variable.value
        for index, word in enumerate((*step.command, *step.args)):
            yield f"{place}/run/{index}", word
