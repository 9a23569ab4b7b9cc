"""What an agent is told about the cluster in which it starts Jobs."""

from __future__ import annotations

from dataclasses import dataclass, field

from animus.adapters.kubernetes.names import Naming
from animus.adapters.kubernetes.placements import Grants


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    places: tuple[str, ...]
    """host:port of api and object store: what main must not reach."""
    seconds: int
    """How long the cluster may take to apply its policies, and an agent to come back."""
    granted: frozenset[str] = frozenset()
    """host:port of what plans may let steps reach: the cluster has a network policy for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    naming: Naming
    namespace: str
    step_image: str
    """Of fetch and collect, by digest."""
    gateway_url: str
    """The api, as pods reach it."""
    store_address: str | None = None
    """host:port of the object store as pods reach it, where they can't reach its public name."""
    image_pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    user: int | None = None
    """Of every container; None where the cluster assigns one, as OpenShift does."""
    gpu_resource: str = "nvidia.com/gpu"
    latch: Latch | None = None
    """How egress is switched; None: main keeps the network of fetch and collect."""
    grants: Grants = field(default_factory=Grants)
    """What environments may ask of the cluster's nodes and classes."""
