"""Who is who in a cluster: a certificate for each component, and a kubeconfig for each client.

etcd and the registry have authorities of their own, so that no certificate of Kubernetes opens
them. The authorities
last as long as the cluster; what they sign is made anew at each start.
"""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import yaml

from deploy.dev_cluster.certificates import (
    Authority,
    Pair,
    Subject,
    ensure_token_key,
    load_or_create_authority,
)
from deploy.dev_cluster.sites import NODE, Site, admin_kubeconfig
from deploy.embedded.accounts import Account, Identity, caller
from deploy.embedded.files import write_private
from deploy.embedded.ports import LOOPBACK

CLUSTER_AUTHORITY = "cluster-authority"
ETCD_AUTHORITY = "etcd-authority"
REGISTRY_AUTHORITY = "registry-authority"

_ETCD_SUBJECTS = {
    "etcd": Subject(name="etcd", serves=(LOOPBACK,)),
    "apiserver-etcd": Subject(name="kube-apiserver"),
}

KUBELET_CLIENT = "kube-apiserver-kubelet-client"
"""As whom the apiserver calls the kubelet; `templates/access.yaml` lets it."""

_ADDRESSES_OF_APISERVER = (LOOPBACK, "localhost", "kubernetes.default.svc")


def write_credentials(site: Site) -> None:
    services = site.accounts.owner_of(Account.SERVICES)
    etcd = _authority(site, ETCD_AUTHORITY, services)
    for name, subject in _ETCD_SUBJECTS.items():
        etcd.issue(subject, Pair.at(site.layout.keys, name), owner=services)
    cluster = _authority(site, CLUSTER_AUTHORITY, services)
    for name, subject in _subjects_of_services().items():
        cluster.issue(subject, Pair.at(site.layout.keys, name), owner=services)
    for name, subject in _subjects_of_root(site).items():
        cluster.issue(subject, Pair.at(site.layout.keys, name), owner=caller())
    registry = _authority(site, REGISTRY_AUTHORITY, services)
    subject = Subject(name="registry", calls=False, serves=(LOOPBACK,))
    registry.issue(subject, Pair.at(site.layout.keys, "registry"), owner=services)
    ensure_token_key(
        site.layout.keys / "service-accounts.key",
        site.layout.keys / "service-accounts.pub",
        owner=services,
    )
    _write_kubeconfigs(site, services)


def client_context(site: Site, *, authority: str, client: str | None) -> ssl.SSLContext:
    """Trusts one authority of the cluster, and calls as `client`."""
    context = ssl.create_default_context(cafile=site.key_file(f"{authority}.crt"))
    if client:
        pair = Pair.at(site.layout.keys, client)
        context.load_cert_chain(pair.certificate, pair.key)
    return context


def _authority(site: Site, name: str, readers: Identity) -> Authority:
    title = f"{site.config.name} {name}"
    return load_or_create_authority(title, Pair.at(site.layout.keys, name), readers=readers)


def _subjects_of_services() -> dict[str, Subject]:
    return {
        "apiserver": Subject(name="kube-apiserver", calls=False, serves=_ADDRESSES_OF_APISERVER),
        "apiserver-kubelet": Subject(name=KUBELET_CLIENT),
        "controller-manager": Subject(name="system:kube-controller-manager", serves=(LOOPBACK,)),
        "scheduler": Subject(name="system:kube-scheduler", serves=(LOOPBACK,)),
    }


def _subjects_of_root(site: Site) -> dict[str, Subject]:
    return {
        "kubelet": Subject(
            name=f"system:node:{NODE}",
            organization="system:nodes",
            serves=(NODE, site.config.host_address),
        ),
        "admin": Subject(name="admin", organization="system:masters"),
    }


def _write_kubeconfigs(site: Site, services: Identity) -> None:
    for name in ("controller-manager", "scheduler"):
        path = site.layout.settings / f"{name}.kubeconfig"
        write_private(path, _kubeconfig(site, name), owner=services)
    path = site.layout.settings / "kubelet.kubeconfig"
    write_private(path, _kubeconfig(site, "kubelet"), owner=caller())
    write_private(admin_kubeconfig(site.layout), _kubeconfig(site, "admin"), owner=caller())


def _kubeconfig(site: Site, name: str) -> str:
    """Whole in one file, so that it can be handed on."""
    pair = Pair.at(site.layout.keys, name)
    authority = Pair.at(site.layout.keys, CLUSTER_AUTHORITY).certificate
    cluster = {"server": site.api_url, "certificate-authority-data": _encoded(authority)}
    user = {
        "client-certificate-data": _encoded(pair.certificate),
        "client-key-data": _encoded(pair.key),
    }
    place = site.config.name
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": place, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": place, "context": {"cluster": place, "user": name}}],
        "current-context": place,
    }
    return yaml.safe_dump(document, sort_keys=False)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
