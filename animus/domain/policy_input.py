"""What a rule sees: `animus.policy-input/v1`, made of a plan body.

Everything is a list or a scalar, sorted; there is no map to iterate, since the CEL library walks
maps in random order. Absent things are empty or false, never missing; a name that is not here is
an error of the rule, and an error denies. Documented in docs/policy-input.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from animus.domain.canonical import JsonObject, canonical_bytes
from animus.domain.placements import Placement
from animus.domain.plans import PlanBody, PlannedStep
from animus.domain.resources import Amounts

SCHEMA = "animus.policy-input/v1"
TAG = SCHEMA


def policy_input(body: PlanBody) -> JsonObject:
    totals = Amounts()
    for step in body.steps:
        totals = totals + step.spec.resources.amounts()
    return {
        "schema": SCHEMA,
        "classification": str(body.classification),
        "pipeline": body.pipeline,
        "executor": body.execution.executor,
        "runtime": body.execution.runtime,
        "code": _code(body),
        "environment_locked": body.environment_lock is not None,
        "environment_lock": body.environment_lock or "",
        "placement": _placement(body.placement or Placement()),
        "datasets": [binding.content() for binding in body.datasets],
        "parameters": [_parameter(name, value) for name, value in sorted(body.parameters.items())],
        "limitations": [
            {"code": str(limitation.code), "subject": limitation.subject}
            for limitation in body.limitations
        ],
        "steps": [_step(step) for step in body.steps],
        "totals": {"steps": len(body.steps), **_amounts(totals)},
    }


def _code(body: PlanBody) -> JsonObject:
    code = body.code
    return {
        "present": code is not None,
        "repo_url": (code.repo_url if code else None) or "",
        "commit": code.commit if code else "",
        "path": code.path if code else "",
        "state": str(code.state) if code else "missing",
    }


def _placement(placement: Placement) -> JsonObject:
    return {
        "node_selector": _pairs(placement.node_selector),
        "tolerations": [
            {"key": each.key, "value": each.value or "", "effect": each.effect or ""}
            for each in placement.tolerations
        ],
        "priority_class": placement.priority_class or "",
        "labels": _pairs(placement.labels),
        "runtime_class": placement.runtime_class or "",
    }


def _pairs(labels: Mapping[str, str]) -> list[JsonObject]:
    return [{"key": key, "value": value} for key, value in sorted(labels.items())]


def _parameter(name: str, value: Any) -> JsonObject:
    """`value` for a scalar; for lists, maps and null the canonical JSON text."""
    scalar = isinstance(value, str | int | float)
    kind = {str: "text", bool: "bool", int: "int", float: "double"}.get(type(value), "json")
    return {
        "name": name,
        "type": kind,
        "value": value if scalar else canonical_bytes(value).decode(),
    }


def _step(step: PlannedStep) -> JsonObject:
    spec = step.spec
    return {
        "name": spec.name,
        "after": list(step.after),
        "image": spec.image,
        "repository": spec.image.rpartition("@")[0],
        "image_digest": spec.image_digest,
        "command": [*spec.command, *spec.args],
        "datasets": [i.datasetRef for i in spec.inputs.datasets],
        "artifacts": [f"{i.fromStep}.{i.artifact}" for i in spec.inputs.artifacts],
        "outputs": [
            {"name": o.name, "type": o.type, "path": o.path} for o in spec.outputs.artifacts
        ],
        "env": [{"name": v.name, "value": v.value} for v in spec.env],
        "egress": [{"host": rule.host, "port": rule.port} for rule in spec.egress],
        "secrets": [{"name": s.name, "ref": s.secretRef} for s in spec.secrets],
        "telemetry": spec.telemetry,
        "timeout_seconds": spec.timeoutSeconds,
        "max_attempts": spec.retryPolicy.maxAttempts,
        **_amounts(spec.resources.amounts()),
    }


def _amounts(amounts: Amounts) -> Mapping[str, int]:
    return {
        "millicores": amounts.millicores,
        "memory_bytes": amounts.memory,
        "storage_bytes": amounts.storage,
        "gpus": amounts.gpus,
    }
