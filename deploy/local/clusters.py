"""A development cluster made ready for a local platform's steps, and the agent's way to it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from deploy.dev_cluster.clusters import Cluster
from deploy.embedded.accounts import caller
from deploy.embedded.building import build_servers
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.errors import StackError
from deploy.embedded.files import write_private
from deploy.embedded.ports import Ports
from deploy.images.archives import write_archive
from deploy.images.builds import BuiltImage, ensure_image
from deploy.images.definitions import DEMO, STEP, STEP_USER
from deploy.images.layouts import ImageLayout
from deploy.kubernetes.rendering import ACCOUNT, Endpoint, Grounds, render
from deploy.programs import CommandFailed

REGISTERED_AS = "kubernetes"
NAMESPACE = "animus-runs"
PULL_SECRET = "registry"
AGENT_NAMESPACE = "animus-agent"
RUNTIME = "runc"
"""What the development cluster's containerd starts containers with."""

KUBECONFIG_FILE = "agent.kubeconfig"
TOKEN_LIFE = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedOnCluster:
    """What a stack needs before it can start, and what its steps run on."""

    config: StackConfig
    cluster: Cluster
    demo_image: BuiltImage

    @property
    def look(self) -> str:
        """A command that shows the steps that run."""
        cluster = self.cluster
        kubectl = f"{cluster.kubectl_program} --kubeconfig {cluster.kubeconfig}"
        return f"{kubectl} --namespace {NAMESPACE} get jobs,pods"


def prepare_on_cluster(
    state: Path, ports: Ports, *, cluster: Cluster, console: Console
) -> PreparedOnCluster:
    """Servers and images, built or found; namespaces and the agent's access. No stack runs yet."""
    build_servers(console=console)
    step = ensure_image(STEP, console=console)
    demo = ensure_image(DEMO, console=console)
    cluster.wait_ready()
    for image in (step, demo):
        provide_on_cluster(image, cluster=cluster, console=console)
    apply_grounds(local_grounds(cluster, ports), cluster=cluster)
    kubeconfig = state.absolute().parent / KUBECONFIG_FILE
    kubeconfig.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_agent_kubeconfig(kubeconfig, cluster=cluster)
    config = StackConfig(
        state=state.absolute(),
        ports=ports,
        cluster=REGISTERED_AS,
        pods_at=cluster.pods_at,
        overrides={"agent": {"agent": _agent_settings(cluster, ports, step, kubeconfig)}},
    )
    return PreparedOnCluster(config=config, cluster=cluster, demo_image=demo)


def local_grounds(cluster: Cluster, ports: Ports) -> Grounds:
    """One namespace of runs, from which api and object store are reached on the pods' bridge."""
    host = cluster.host_address
    return Grounds(
        namespace=NAMESPACE,
        agent_namespace=AGENT_NAMESPACE,
        reach=[Endpoint.parse(f"{host}:{port}") for port in (ports.api, ports.object_store)],
    )


def provide_on_cluster(image: ImageLayout, *, cluster: Cluster, console: Console) -> None:
    """Load the image unless pods can use it, under the very reference that a lock names."""
    if cluster.has_image(image.reference):
        return
    progress = console.progress(f"loading the image {image.name} into the cluster")
    with tempfile.TemporaryDirectory(prefix="image-", dir=cluster.config.state) as scratch:
        archive = Path(scratch) / "image.tar"
        try:
            write_archive(image, archive)
            loaded = cluster.load_image(archive)
            if loaded != (image.reference,):
                raise StackError(f"{image.reference} became {', '.join(loaded)} in the cluster.")
        except (OSError, StackError):
            progress.fail()
            raise
    progress.done()


def give_pull_secret(cluster: Cluster) -> None:
    """Whoever makes pods in the namespace of runs can pull from the cluster's registry by it."""
    registry = cluster.registry
    known = {"auths": {registry.address: {"auth": registry.authorization}}}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": PULL_SECRET, "namespace": NAMESPACE},
        "stringData": {".dockerconfigjson": json.dumps(known)},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as manifest:  # of mode 0600
        json.dump(secret, manifest)
        manifest.flush()
        _kubectl(cluster, "apply", "--server-side", "--filename", manifest.name)


def apply_grounds(grounds: Grounds, *, cluster: Cluster) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as manifests:
        manifests.write(render(grounds))
        manifests.flush()
        _kubectl(cluster, "apply", "--server-side", "--filename", manifests.name)


def write_agent_kubeconfig(
    path: Path, *, cluster: Cluster, agent_namespace: str = AGENT_NAMESPACE
) -> None:
    """For who runs the agent alone: a bound token of its ServiceAccount, and nothing else."""
    life = f"--duration={TOKEN_LIFE.total_seconds():.0f}s"
    token = _kubectl(cluster, "create", "token", ACCOUNT, "--namespace", agent_namespace, life)
    document: dict[str, Any] = yaml.safe_load(cluster.kubeconfig.read_text())  # Any: a kubeconfig
    (context,) = document["contexts"]
    context["context"] |= {"user": ACCOUNT, "namespace": NAMESPACE}
    document["users"] = [{"name": ACCOUNT, "user": {"token": token.strip()}}]
    write_private(path, yaml.safe_dump(document, sort_keys=False), owner=caller())


def vacate(cluster: Cluster) -> None:
    """Remove both namespaces with all that is in them; no agent is there to record anything.

    Pods go first: a kubelet that ends one in its own time can't be hurried afterwards.
    """
    here = ("--namespace", NAMESPACE)
    for job in _kubectl(cluster, "get", "jobs", *here, "--output=name").split():
        unheld = '{"metadata":{"finalizers":null}}'
        _kubectl(cluster, "patch", job, *here, "--type=merge", "--patch", unheld)
    _kubectl(cluster, "delete", "pods", "--all", *here, "--grace-period=1", "--timeout=60s")
    namespaces = (NAMESPACE, AGENT_NAMESPACE)
    _kubectl(cluster, "delete", "namespace", *namespaces, "--ignore-not-found", "--timeout=100s")


def _kubectl(cluster: Cluster, *arguments: str) -> str:
    try:
        return cluster.kubectl(*arguments)
    except CommandFailed as failure:
        raise StackError(
            f"The cluster does not do 'kubectl {' '.join(arguments[:2])}': {failure}\n"
            "See what is wrong with it: make cluster-status"
        ) from failure


def _agent_settings(
    cluster: Cluster, ports: Ports, step: ImageLayout, kubeconfig: Path
) -> dict[str, str | dict[str, str | int]]:
    host = cluster.host_address
    return {
        "executor": "kubernetes",
        "step_image": step.reference,
        "kubernetes": {
            "kubeconfig": str(kubeconfig),
            "namespace": NAMESPACE,
            "gateway_url": f"http://{host}:{ports.api}",
            "store_address": f"{host}:{ports.object_store}",
            "user": int(STEP_USER.partition(":")[0]),
        },
    }
