"""One pure function from what people write to the explicit PipelineSpec, with all its faults.

Three forms are read: the short form, explicit `animus/v1`, and `animus/v1alpha1` as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from animus.domain.documents import SparseDocument, decode_document
from animus.domain.errors import Fault, InvalidDocument
from animus.domain.ordering import in_normal_order
from animus.domain.pipeline_rules import structural_faults
from animus.domain.pipeline_short_form import ShortOutput, ShortPipeline, ShortStep
from animus.domain.pipelines import (
    API_VERSION,
    API_VERSION_ALPHA,
    PipelineSpec,
)

SHELL = ("/bin/sh", "-eu", "-c")
DEFAULTS: dict[str, Any] = {
    "cpu": "1",
    "memory": "1Gi",
    "gpu": 0,
    "gpuResource": None,
    "storage": "1Gi",
    "timeout": 3_600,
    "attempts": 1,
}
SHORT_BACKOFF = {"type": "exponential", "initialSeconds": 5, "maxSeconds": 300, "multiplier": 2}
MEDIA_TYPES = {
    "json": "application/json", "png": "image/png", "svg": "image/svg+xml", "csv": "text/csv",
    "txt": "text/plain", "html": "text/html", "pdf": "application/pdf", "md": "text/markdown",
    "parquet": "application/vnd.apache.parquet", "zip": "application/zip",
}  # fmt: skip


def expand_pipeline(written: object) -> PipelineSpec:
    """The explicit form of a pipeline. Raises `InvalidDocument`; pointers are into `written`."""
    if not isinstance(written, Mapping):
        raise _unreadable("", "A pipeline is a mapping. Begin with 'apiVersion: animus/v1'.")
    version = written.get("apiVersion")
    if version == API_VERSION_ALPHA:
        return _checked(_from_alpha(written))
    if version != API_VERSION:
        raise _unreadable(
            "/apiVersion", f"apiVersion must be '{API_VERSION}' or '{API_VERSION_ALPHA}'."
        )
    if "pipeline" in written or ("steps" in written and "kind" not in written):
        short = decode_document(ShortPipeline, written, what="pipeline (short form)")
        return _from_short(short)
    return _checked(decode_document(PipelineSpec, written, what="pipeline"))


def _unreadable(pointer: str, message: str) -> InvalidDocument:
    return InvalidDocument(
        "This is not a valid pipeline.", [Fault(pointer=pointer, message=message)]
    )


def _checked(spec: PipelineSpec) -> PipelineSpec:
    faults = structural_faults(spec)
    if faults:
        raise InvalidDocument("This pipeline cannot work.", faults)
    return in_normal_order(spec)


def _place(pointer: str, places: Mapping[str, str]) -> str:
    """The place in the short form for a place in the explicit one: by the longest known prefix."""
    parts = pointer.split("/")
    for length in range(len(parts), 0, -1):
        known = places.get("/".join(parts[:length]))
        if known is not None:
            return known
    return pointer


class _AlphaDocument(SparseDocument):
    apiVersion: Literal["animus/v1alpha1"]
    kind: Literal["Pipeline"]
    specVersion: str
    metadata: dict[str, Any] | None = None
    spec: dict[str, Any]


ALPHA_TIMEOUT_SECONDS = 3_600
_ALPHA_ABSENT = ("timeoutSeconds", "egress", "secrets", "telemetry")


def _from_alpha(written: Mapping[str, Any]) -> PipelineSpec:
    """v1alpha1 says nothing of execution: a step gets an hour, no network, no secret."""
    document = decode_document(_AlphaDocument, written, what="pipeline")
    graph = dict(document.spec)
    listed = graph.get("steps")
    if isinstance(listed, list):
        graph["steps"] = [_alpha_step(step, index) for index, step in enumerate(listed)]
    explicit = {
        "apiVersion": API_VERSION,
        "kind": document.kind,
        "specVersion": document.specVersion,
        "metadata": document.metadata or {"name": "pipeline"},
        "spec": graph,
    }
    return decode_document(PipelineSpec, explicit, what="pipeline")


def _alpha_step(step: Any, index: int) -> Any:
    if not isinstance(step, dict):
        return step
    for key in _ALPHA_ABSENT:
        if key in step:
            raise _unreadable(
                f"/spec/steps/{index}/{key}", f"{key!r} needs apiVersion: {API_VERSION}."
            )
    resources = step.get("resources")
    if isinstance(resources, dict):
        resources = {"ephemeralStorage": DEFAULTS["storage"], **resources}
    return {
        **step,
        "outputs": _alpha_outputs(step.get("outputs")),
        "resources": resources,
        "timeoutSeconds": ALPHA_TIMEOUT_SECONDS,
        "egress": [],
        "secrets": [],
        "telemetry": False,
    }


def _alpha_outputs(outputs: Any) -> Any:
    if not isinstance(outputs, dict) or not isinstance(outputs.get("artifacts"), list):
        return outputs
    placed = [
        {"path": a.get("name"), **a} if isinstance(a, dict) else a for a in outputs["artifacts"]
    ]
    return {**outputs, "artifacts": placed}


def _from_short(short: ShortPipeline) -> PipelineSpec:
    try:
        return _checked(decode_document(PipelineSpec, _explicit(short), what="pipeline"))
    except InvalidDocument as error:
        places = _places(short)
        placed = (replace(fault, pointer=_place(fault.pointer, places)) for fault in error.faults)
        raise InvalidDocument(error.message, tuple(dict.fromkeys(placed))) from None


def _explicit(short: ShortPipeline) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Pipeline",
        "specVersion": "1.0",
        "metadata": {
            "name": short.pipeline, "description": short.description, "labels": short.labels,
        },
        "spec": {
            "steps": [_short_step(short, name, step) for name, step in short.steps.items()],
            "dependencies": _short_dependencies(short),
        },
    }  # fmt: skip


def _short_step(short: ShortPipeline, name: str, step: ShortStep) -> dict[str, Any]:
    image = step.image or short.image
    if image is None:
        raise _unreadable(
            f"/steps/{name}", "Say which image: 'image:' here or at the top, pinned by digest."
        )
    said = {key: _said(short, step, key) for key in DEFAULTS}
    return {
        "name": name,
        "image": image,
        **_command(step.run),
        "inputs": {
            "datasets": [{"name": k, "datasetRef": v} for k, v in sorted(step.data.items())],
            "artifacts": [_short_input(k, v) for k, v in sorted(step.in_.items())],
        },
        "outputs": {"artifacts": [_short_output(k, v) for k, v in sorted(step.out.items())]},
        "env": [
            {"name": k, "value": v} for k, v in sorted({**short.env, **step.env}.items())
        ],
        "resources": {
            "cpu": said["cpu"], "memory": said["memory"], "gpu": said["gpu"],
            "gpuResource": said["gpuResource"], "ephemeralStorage": said["storage"],
        },
        "retryPolicy": {"maxAttempts": said["attempts"], "backoff": SHORT_BACKOFF},
        "timeoutSeconds": said["timeout"],
        "egress": [rule.content() for rule in step.egress],
        "secrets": [{"name": k, "secretRef": v} for k, v in sorted(step.secrets.items())],
        "telemetry": step.telemetry,
    }  # fmt: skip


def _said(short: ShortPipeline, step: ShortStep, key: str) -> Any:
    own, shared = getattr(step, key), getattr(short, key)
    return next((value for value in (own, shared) if value is not None), DEFAULTS[key])


def _command(run: str | tuple[str, ...] | None) -> dict[str, Any]:
    if isinstance(run, str):
        return {"command": SHELL, "args": (run,)}
    return {"command": run or (), "args": ()}


def _short_input(name: str, written: str) -> dict[str, str]:
    step, _, artifact = written.partition(".")
    return {"name": name, "fromStep": step, "artifact": artifact}


def _short_output(name: str, output: ShortOutput) -> dict[str, Any]:
    suffix = output.path.rpartition(".")[2].lower() if "." in output.path else ""
    media_type = output.mediaType or MEDIA_TYPES.get(suffix)
    return {"name": name, **output.content(), "mediaType": media_type}


def _short_dependencies(short: ShortPipeline) -> list[dict[str, str]]:
    edges = {
        (before, name)
        for name, step in short.steps.items()
        for before in (*step.after, *(v.partition(".")[0] for v in step.in_.values()))
    }
    return [{"from": before, "to": after} for before, after in sorted(edges)]


_SHORT_KEYS = {
    "image": "image", "command": "run", "args": "run", "inputs/datasets": "data",
    "inputs/artifacts": "in", "outputs": "out", "env": "env", "resources/cpu": "cpu",
    "resources/memory": "memory", "resources/ephemeralStorage": "storage",
    "resources/gpuResource": "gpuResource",
    "retryPolicy/maxAttempts": "attempts", "timeoutSeconds": "timeout", "egress": "egress",
    "secrets": "secrets",
}  # fmt: skip


def _places(short: ShortPipeline) -> dict[str, str]:
    places = {
        "/spec/dependencies": "/steps", "/metadata/name": "/pipeline",
        "/metadata/description": "/description", "/metadata/labels": "/labels",
    }  # fmt: skip
    for index, (name, step) in enumerate(short.steps.items()):
        places[f"/spec/steps/{index}"] = f"/steps/{name}"
        for explicit, key in _SHORT_KEYS.items():
            own = key in step.model_fields_set or (key == "in" and "in_" in step.model_fields_set)
            at = f"/steps/{name}/{key}" if own else f"/{key}"
            if own or key in short.model_fields_set:
                places[f"/spec/steps/{index}/{explicit}"] = at
    for number, edge in enumerate(_short_dependencies(short)):
        key = "after" if edge["from"] in short.steps[edge["to"]].after else "in"
        places[f"/spec/dependencies/{number}"] = f"/steps/{edge['to']}/{key}"
    return places
