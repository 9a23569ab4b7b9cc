"""The namespace that an agent makes for a project: its name, what is in it, and whose it is.

Pure. What a project may take and reach is said by the platform team's template.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from animus.adapters.kubernetes.names import PROJECT, Naming
from animus.domain.canonical import JsonObject

ENFORCED = "pod-security.kubernetes.io/enforce"
RESTRICTED = {
    ENFORCED: "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
    "pod-security.kubernetes.io/audit": "restricted",
}
STEPS_ROLE = "animus-steps"
"""The ClusterRole, made by the platform team, that the agent binds itself to in each of them."""
ACCOUNT = "default"
"""Of a namespace's pods: without a token, and without a right."""
PATHS = {
    "ResourceQuota": ("v1", "api/v1", "resourcequotas"),
    "LimitRange": ("v1", "api/v1", "limitranges"),
    "NetworkPolicy": (
        "networking.k8s.io/v1", "apis/networking.k8s.io/v1", "networkpolicies",
    ),
    "ServiceAccount": ("v1", "api/v1", "serviceaccounts"),
    "RoleBinding": (
        "rbac.authorization.k8s.io/v1", "apis/rbac.authorization.k8s.io/v1", "rolebindings",
    ),
}  # fmt: skip
"""Version, place and plural of what the agent makes in a namespace."""
_OF_A_TEMPLATE = ("ResourceQuota", "LimitRange", "NetworkPolicy")
_AGENT_LENGTH = 8
_PREFIX = re.compile(r"[a-z]([a-z0-9-]{0,20})-")
"""With the agent's id and the project's it makes 63 characters at most."""


class TemplateUnfit(ValueError):
    """The template of namespaces is not one that steps may run in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectNamespaces:
    """How an agent names and furnishes the namespaces of projects."""

    naming: Naming
    prefix: str
    template: Sequence[JsonObject]
    """What each of them has: quotas, default limits, network policies."""

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise TemplateUnfit(
                f"{self.prefix!r} begins no namespace's name: lower-case letters, digits and '-', "
                "at most 22, a letter first and '-' last."
            )

    def name_of(self, project_id: str) -> str:
        """Valid for any project, the same for every agent of the cluster, and nobody else's."""
        whole = project_id.replace("-", "")
        return f"{self.prefix}{self.naming.agent[:_AGENT_LENGTH]}-{whole}"

    def namespace_of(self, project_id: str) -> JsonObject:
        labels = self.naming.labels | {PROJECT: project_id} | RESTRICTED
        named = {"name": self.name_of(project_id), "labels": labels}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": named}

    def contents_of(self, name: str, *, account: str) -> Iterator[JsonObject]:
        """What is put into a namespace, in this order: nothing can run before it is bounded."""
        for manifest in self.template:
            yield _placed(manifest, name)
        yield account_in(name)
        yield _placed(_binding(account), name)

    def fault_of(self, namespace: JsonObject, project_id: str) -> str | None:
        """Why nothing may run in a namespace that is there under a project's name."""
        labels = namespace["metadata"].get("labels") or {}
        if not (self.naming.labels | {PROJECT: project_id}).items() <= labels.items():
            return "it was not made by this agent"
        if labels.get(ENFORCED) != RESTRICTED[ENFORCED]:
            return "it does not enforce the Pod Security level 'restricted' any more"
        return None


def read_template(manifests: Iterable[object]) -> tuple[JsonObject, ...]:
    """Of decoded documents. Raises `TemplateUnfit` where a namespace would lack what it must have.

    The agent makes nothing of another kind: no template gives away a right.
    """
    found = tuple(_checked(each) for each in manifests if each is not None)
    for kind in ("ResourceQuota", "LimitRange"):
        if not any(each["kind"] == kind for each in found):
            raise TemplateUnfit(f"It has no {kind}.")
    if not any(_denies_all(each) for each in found):
        raise TemplateUnfit("It has no NetworkPolicy that selects every pod and allows nothing.")
    return found


def account_in(name: str) -> JsonObject:
    account: JsonObject = {
        "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT},
        "automountServiceAccountToken": False,
    }
    return _placed(account, name)


def collection_of(kind: str, namespace: str) -> str:
    """Where objects of a kind are made."""
    _, place, plural = PATHS[kind]
    return f"/{place}/namespaces/{namespace}/{plural}"


def _checked(manifest: object) -> JsonObject:
    if not isinstance(manifest, dict) or manifest.get("kind") not in _OF_A_TEMPLATE:
        kind = manifest.get("kind") if isinstance(manifest, dict) else manifest
        raise TemplateUnfit(f"{kind!r} is none of {', '.join(_OF_A_TEMPLATE)}.")
    if not isinstance(manifest.get("metadata"), dict) or not manifest["metadata"].get("name"):
        raise TemplateUnfit(f"A {manifest['kind']} has no name.")
    return manifest


def _denies_all(manifest: JsonObject) -> bool:
    spec = manifest.get("spec") or {}
    both = {"Ingress", "Egress"} <= set(spec.get("policyTypes") or ())
    is_policy = manifest["kind"] == "NetworkPolicy"
    return is_policy and both and spec.get("podSelector") == {} and len(spec) == 2


def _binding(account: str) -> JsonObject:
    rbac = "rbac.authorization.k8s.io"
    return {
        "kind": "RoleBinding",
        "metadata": {"name": STEPS_ROLE},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": STEPS_ROLE},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": account}],
    }


def _placed(manifest: JsonObject, namespace: str) -> JsonObject:
    metadata = manifest["metadata"] | {"namespace": namespace}
    return manifest | {"apiVersion": PATHS[manifest["kind"]][0], "metadata": metadata}
