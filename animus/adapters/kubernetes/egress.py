"""Egress: which network a pod should have at each moment, derived from what its containers say.

Pure. A pod has one network, and policies select pods by their labels: the agent sets one label, to
what fetch and collect need or to what main is granted.
"""

from __future__ import annotations

from animus.adapters.kubernetes.manifests import FETCH, LATCH, MAIN
from animus.adapters.kubernetes.names import EGRESS, PLAN_ONLY, STORE
from animus.adapters.kubernetes.sightings import PodSighting


def due_label(pod: PodSighting) -> str | None:
    """What the label must be changed to; None where it is right, or was never to change.

    Looked at anew with each sighting: whoever else has changed it, it is changed back.
    """
    if not is_switched(pod) or pod.has_ended:
        return None
    due = _due(pod)
    return due if pod.labels.get(EGRESS) != due else None


def is_switched(pod: PodSighting) -> bool:
    """By the pod itself, so that an agent goes on as its predecessor began."""
    inits = pod.raw["spec"].get("initContainers") or ()
    return any(each.get("name") == LATCH for each in inits)


def was_closed(pod: PodSighting) -> bool:
    """Whether the latch let main begin: it reached neither api nor store any more."""
    return pod.container(LATCH).exit_code == 0


def _due(pod: PodSighting) -> str:
    if pod.container(MAIN).has_ended:
        return STORE
    return PLAN_ONLY if pod.container(FETCH).exit_code == 0 else STORE
