"""Placement: on which nodes of a cluster a step's pods may run, and as what. Part of the plan.

What an environment asks for; whether a cluster grants it is said by that cluster's agent.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from animus.domain import patterns
from animus.domain.documents import SparseDocument

SHARE_THE_KERNEL = frozenset({"runc", "crun"})
"""Runtimes under which a step's system calls go to the host's kernel."""

MAX_PLACEMENT_ITEMS = 16  # of each kind
_OURS = ("animus.io", "kubernetes.io", "k8s.io", "istio.io", "linkerd.io", "kuma.io")
"""Domains whose labels steer a pod's network, its mesh, or what we find it by."""
_OF_JOBS = frozenset({"job-name", "controller-uid"})

LabelKey = Annotated[str, StringConstraints(pattern=patterns.LABEL_KEY)]
LabelValue = Annotated[str, StringConstraints(pattern=patterns.LABEL_VALUE)]
ClassName = Annotated[str, StringConstraints(pattern=patterns.CLASS_NAME)]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=MAX_PLACEMENT_ITEMS)]


class Toleration(SparseDocument):
    key: LabelKey
    value: LabelValue | None = None
    """Of the taint; without it every taint of the key is tolerated."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Without it every effect."""

    @property
    def rank(self) -> tuple[str, str, str]:
        return self.key, self.value or "", self.effect or ""


class Placement(SparseDocument):
    node_selector: Labels = {}
    """Labels that a node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=MAX_PLACEMENT_ITEMS)] = ()
    priority_class: ClassName | None = None
    labels: Labels = {}
    """Of the pods, such as a cost centre."""
    runtime_class: ClassName | None = None
    """The sandbox under which main runs, in place of the cluster's own runtime."""

    @field_validator("labels")
    @classmethod
    def _leave_others_alone(cls, labels: dict[str, str]) -> dict[str, str]:
        for key in labels:
            domain = key.rpartition("/")[0]
            if key in _OF_JOBS or any(f".{domain}".endswith(f".{each}") for each in _OURS):
                raise ValueError(f"The label {key!r} is set by the agent or by the cluster.")
        return labels

    @field_validator("runtime_class")
    @classmethod
    def _name_a_sandbox(cls, name: str | None) -> str | None:
        if name in SHARE_THE_KERNEL:
            raise ValueError(f"{name!r} is no sandbox. Leave runtime_class out.")
        return name

    @property
    def said(self) -> tuple[str, ...]:
        """The names of what it asks for."""
        return tuple(name for name, value in self.content().items() if value)

    def ordered(self) -> Placement:
        """The same, whatever the order of declaration."""
        tolerations = sorted(set(self.tolerations), key=lambda each: each.rank)
        return self.model_copy(update={"tolerations": tuple(tolerations)})
