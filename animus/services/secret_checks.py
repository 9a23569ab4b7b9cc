"""Where in a request credentials are looked for: every text and name that is kept for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from animus.domain.canonical import JsonObject, pointer_token
from animus.domain.parameters import leaves
from animus.domain.pipelines import PipelineSpec
from animus.domain.secret_patterns import check_for_secrets


def check_texts(**texts: Any) -> None:
    """`texts` are members of a request's body by name; where nothing can be overridden."""
    check_for_secrets(leaves(texts, ""), allowed=None)


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


def check_expected_plan(
    plan: JsonObject, *, judged: Iterable[JsonObject], allowed: frozenset[str]
) -> None:
    """What a plan repeats of the `judged` documents was judged there, by its place in them."""
    known = {text for document in judged for _, text in leaves(document, "")}
    texts = leaves(plan, "/expected_plan")
    check_for_secrets(((at, text) for at, text in texts if text not in known), allowed=allowed)


def _all_texts(
    spec: PipelineSpec, parameters: Mapping[str, Any], texts: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    yield from leaves(parameters, "/parameters")
    for name, value in texts.items():
        yield from leaves(value, f"/{name}")
    yield from _pipeline_texts(spec)


def _pipeline_texts(spec: PipelineSpec) -> Iterator[tuple[str, str]]:
    yield "/pipeline/name", spec.metadata.name
    yield "/pipeline/description", spec.metadata.description or ""
    yield from leaves(spec.metadata.labels, "/pipeline/labels")
    for step in spec.spec.steps:
        yield "/pipeline/steps", step.name
        place = f"/pipeline/steps/{pointer_token(step.name)}"
        for variable in step.env:
            yield f"{place}/env", variable.name
            yield f"{place}/env/{variable.name}", variable.value
        for index, word in enumerate((*step.command, *step.args)):
            yield f"{place}/run/{index}", word
