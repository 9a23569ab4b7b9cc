"""How main was really confined, read back from its pod after admission had its say."""

from __future__ import annotations

from animus.adapters.kubernetes.egress import was_closed
from animus.adapters.kubernetes.manifests import MAIN
from animus.adapters.kubernetes.placements import kept_of
from animus.adapters.kubernetes.sightings import PodSighting
from animus.domain.canonical import JsonObject
from animus.domain.placements import Placement
from animus.domain.resources import parse_bytes, parse_cpu
from animus.domain.work_orders import SWITCHED, Posture

USUAL_RUNTIME = "default"
"""The node's own, where a pod names no RuntimeClass."""
ASSIGNED = "assigned by the cluster or the image"


def posture_of(pod: PodSighting, engine: str, *, planned: Placement | None = None) -> Posture:
    spec: JsonObject = pod.raw["spec"]
    main = next(each for each in spec["containers"] if each["name"] == MAIN)
    whole: JsonObject = spec.get("securityContext") or {}
    own: JsonObject = whole | (main.get("securityContext") or {})
    capabilities: JsonObject = own.get("capabilities") or {}
    added = tuple(sorted(str(each) for each in capabilities.get("add") or ()))
    dropped = [str(each).upper() for each in capabilities.get("drop") or ()]
    limits: JsonObject = (main.get("resources") or {}).get("limits") or {}
    return Posture(
        executor="kubernetes",
        engine=f"kubernetes {engine}",
        runtime=str(spec.get("runtimeClassName") or USUAL_RUNTIME),
        image=pod.container(MAIN).image_digest,
        user=str(own.get("runAsUser", ASSIGNED)),
        network=_network_of(pod),
        read_only_root=bool(own.get("readOnlyRootFilesystem")),
        capabilities=added if "ALL" in dropped else ("DEFAULT", *added),
        no_new_privileges=own.get("allowPrivilegeEscalation") is False,
        seccomp=str((own.get("seccompProfile") or {}).get("type") or "unconfined"),
        memory_bytes=parse_bytes(str(limits["memory"])) if "memory" in limits else 0,
        millicores=parse_cpu(str(limits["cpu"])) if "cpu" in limits else 0,
        pids=0,
        placement=kept_of(planned, pod.raw) if planned is not None else None,
    )


def _network_of(pod: PodSighting) -> str:
    if pod.raw["spec"].get("hostNetwork"):
        return "host"
    return SWITCHED if was_closed(pod) else "pod"
