"""What the descriptions of a cluster's services are made from, gathered once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from deploy.dev_cluster.configuration import ClusterConfig
from deploy.dev_cluster.servers import ETCD, KUBERNETES, REGISTRY
from deploy.embedded.accounts import Account, Accounts
from deploy.embedded.files import write_private
from deploy.embedded.layout import Layout
from deploy.embedded.servers import program_path

TEMPLATES = Path(__file__).resolve().parent / "templates"

NODE = "node1"
"""The node's name in the cluster. Each cluster has one."""

DIRECTORIES = {
    "etcd": Account.SERVICES,
    "containerd": Account.ENGINE,
    "kubelet": Account.ENGINE,
    "pod-logs": Account.ENGINE,
    "volume-plugins": Account.SERVICES,
    "cni": Account.ENGINE,
    "images": Account.ENGINE,
    "registries": Account.ENGINE,
    "registry": Account.SERVICES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    config: ClusterConfig
    layout: Layout
    accounts: Accounts
    programs: Path
    """The cache directory with the built programs."""

    @property
    def api_url(self) -> str:
        return f"https://127.0.0.1:{self.config.ports.kube_apiserver}"

    def program(self, name: str) -> str:
        server = {"etcd": ETCD, "registry": REGISTRY}.get(name, KUBERNETES)
        return str(program_path(server, name, cache=self.programs))

    def key_file(self, name: str) -> str:
        return str(self.layout.keys / name)

    def settings_file(self, name: str) -> str:
        return str(self.layout.settings / name)

    def write_settings(self, name: str, content: str, *, account: Account) -> Path:
        """A settings file that only `account` can read."""
        path = self.layout.settings / name
        write_private(path, content, owner=self.accounts.owner_of(account))
        return path

    def render(self, template: str, values: Mapping[str, object]) -> str:
        return Template((TEMPLATES / template).read_text()).substitute(values)


def layout_of(state: Path) -> Layout:
    return Layout(state=state, directories=DIRECTORIES)


def containerd_socket(layout: Layout) -> Path:
    return layout.data("containerd") / "containerd.sock"


def admin_kubeconfig(layout: Layout) -> Path:
    return layout.state / "admin.kubeconfig"
