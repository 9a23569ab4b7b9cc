"""A planned placement on a Job: whether the cluster grants it, how it is written, what came of it.

Pure. Whoever writes an environment asks; the platform team says in the agent's settings what its
cluster grants, and nothing else is passed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from animus.domain.canonical import JsonObject
from animus.domain.pipelines import EgressRule
from animus.domain.placements import Placement, Toleration


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What environments may ask of this cluster; nothing, unless it is named."""

    node_labels: frozenset[str] = frozenset()
    """Keys that may select nodes."""
    tolerations: frozenset[str] = frozenset()
    """Keys of taints."""
    priority_classes: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    """Keys that pods may be given."""
    runtime_classes: frozenset[str] = frozenset()
    """Sandboxes only: a run under one of them is not marked as sharing the host's kernel."""


class NotGranted(ValueError):
    """The plan's placement asks for what this cluster's agent does not pass on."""

    def __init__(self, asked: tuple[str, ...]) -> None:
        super().__init__(", ".join(asked))


class EgressNotGranted(ValueError):
    """The plan lets a step reach what this cluster has no network policy for."""


def check_granted(placement: Placement | None, grants: Grants) -> None:
    """Raises `NotGranted`."""
    asked = tuple(_beyond(placement, grants)) if placement is not None else ()
    if asked:
        raise NotGranted(asked)


def check_egress(rules: Sequence[EgressRule], granted: Set[str]) -> None:
    """Raises `EgressNotGranted`: a step that the plan lets out would run into a wall."""
    asked = sorted({f"{rule.host}:{rule.port}" for rule in rules} - granted)
    if asked:
        raise EgressNotGranted(", ".join(asked))


def _beyond(placement: Placement, grants: Grants) -> Iterator[str]:
    for key in sorted(placement.node_selector.keys() - grants.node_labels):
        yield f"node_labels {key}"
    for key in sorted({each.key for each in placement.tolerations} - grants.tolerations):
        yield f"tolerations {key}"
    for key in sorted(placement.labels.keys() - grants.labels):
        yield f"labels {key}"
    if placement.priority_class not in (None, *grants.priority_classes):
        yield f"priority_classes {placement.priority_class}"
    if placement.runtime_class not in (None, *grants.runtime_classes):
        yield f"runtime_classes {placement.runtime_class}"


def pod_fields(placement: Placement) -> JsonObject:
    """Of the pod's spec. The RuntimeClass is not among them: it is the assignment's sandbox."""
    fields: JsonObject = {}
    if placement.node_selector:
        fields["nodeSelector"] = dict(placement.node_selector)
    if placement.tolerations:
        fields["tolerations"] = [_written(each) for each in placement.tolerations]
    if placement.priority_class is not None:
        fields["priorityClassName"] = placement.priority_class
    return fields


def kept_of(placement: Placement, pod: JsonObject) -> Placement:
    """What of a placement is on the pod that the cluster admitted; it may add what it likes."""
    spec, labels = pod["spec"], pod["metadata"].get("labels") or {}
    selected = spec.get("nodeSelector") or {}
    tolerated = spec.get("tolerations") or ()
    return Placement(
        node_selector=_both(placement.node_selector, selected),
        tolerations=tuple(each for each in placement.tolerations if _written(each) in tolerated),
        priority_class=_same(placement.priority_class, spec.get("priorityClassName")),
        labels=_both(placement.labels, labels),
        runtime_class=_same(placement.runtime_class, spec.get("runtimeClassName")),
    )


def _written(toleration: Toleration) -> JsonObject:
    value, effect = toleration.value, toleration.effect
    written: JsonObject = {"key": toleration.key, "operator": "Exists"}
    if value is not None:
        written |= {"operator": "Equal"} | ({"value": value} if value else {})
    return written | ({"effect": effect} if effect is not None else {})


def _both(planned: dict[str, str], found: dict[str, str]) -> dict[str, str]:
    return dict(planned.items() & found.items())


def _same(planned: str | None, found: str | None) -> str | None:
    return planned if planned == found else None
