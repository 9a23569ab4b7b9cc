"""A stand-in for a network plugin: the kernel's packet filter, told what network policies say.

For the development cluster, which has no plugin that enforces them. It knows what Animus' own
manifests use, which is egress to address blocks and TCP ports, for pods selected by labels; it
refuses every other policy rather than pass it over. Packets are dropped in silence, as most plugins
do. It looks ten times a second, and lets a pod that it has not seen yet reach everything.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress

from animus.adapters.kubernetes.clients import KubernetesClient
from animus.adapters.kubernetes.errors import ClusterUnavailable
from animus.domain.canonical import JsonObject
from deploy.dev_cluster.clusters import Cluster
from deploy.embedded.console import Console
from deploy.embedded.engine.packages import install
from deploy.programs import find_program, search_path

LOOK_EVERY = 0.1


@asynccontextmanager
async def enforcing(cluster: Cluster, namespace: str) -> AsyncIterator[None]:
    """While it lasts, pods of the namespace reach what its policies allow. Needs root."""
    client = KubernetesClient.connect(kubeconfig=cluster.kubeconfig, namespace=namespace)
    table = f"test-{cluster.config.name}-{namespace}"
    running = asyncio.create_task(_enforce(client, bridge=cluster.config.name, table=table))
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await asyncio.to_thread(_load, f"table inet {table} {{}}\ndelete table inet {table}\n")


async def _enforce(client: KubernetesClient, *, bridge: str, table: str) -> None:
    here, loaded = f"namespaces/{client.namespace}", ""
    while True:
        with suppress(ClusterUnavailable):  # what was told last goes on
            policies = await client.list_objects(
                f"/apis/networking.k8s.io/v1/{here}/networkpolicies", selector=""
            )
            pods = await client.list_objects(f"/api/v1/{here}/pods", selector="")
            said = ruleset(table, bridge=bridge, pods=pods, policies=policies)
            if said != loaded:
                await asyncio.to_thread(_load, said)
                loaded = said
        await asyncio.sleep(LOOK_EVERY)


def ruleset(
    table: str, *, bridge: str, pods: Sequence[JsonObject], policies: Sequence[JsonObject]
) -> str:
    """For nft(8), which puts it in the place of what there was, all at once."""
    rules = "\n".join(rule for pod in pods for rule in _rules_of(pod, policies))
    return f"""table inet {table} {{}}
delete table inet {table}
table inet {table} {{
  chain from-pods {{
    ct state established,related accept
{rules}
  }}
  chain to-the-node {{
    type filter hook input priority 0; policy accept;
    iifname "{bridge}" jump from-pods
  }}
  chain beyond {{
    type filter hook forward priority 0; policy accept;
    iifname "{bridge}" jump from-pods
  }}
}}
"""


def _rules_of(pod: JsonObject, policies: Sequence[JsonObject]) -> Iterator[str]:
    address = pod["status"].get("podIP")
    if address is None or pod["status"]["phase"] in ("Succeeded", "Failed"):
        return  # its address may be another pod's by now
    labels = pod["metadata"].get("labels") or {}
    selecting = [each["spec"] for each in policies if _selects(each["spec"], labels)]
    for spec in selecting:
        for rule in spec.get("egress") or ():
            for block, port in _allowed(rule):
                yield f"    ip saddr {address} ip daddr {block} tcp dport {port} accept"
    if selecting:
        yield f"    ip saddr {address} drop"


def _selects(spec: JsonObject, labels: dict[str, str]) -> bool:
    selector = spec["podSelector"]
    if "Egress" not in spec["policyTypes"] or selector.keys() - {"matchLabels"}:
        raise NotImplementedError(f"a policy that this stand-in can't enforce: {spec}")
    return bool((selector.get("matchLabels") or {}).items() <= labels.items())


def _allowed(rule: JsonObject) -> Iterator[tuple[str, int]]:
    for place in rule["to"]:
        for port in rule["ports"]:
            if place.keys() != {"ipBlock"} or place["ipBlock"].keys() != {"cidr"}:
                raise NotImplementedError(f"a rule that this stand-in can't enforce: {rule}")
            if port["protocol"] != "TCP":
                raise NotImplementedError(f"a rule that this stand-in can't enforce: {rule}")
            yield place["ipBlock"]["cidr"], port["port"]


def _load(rules: str) -> None:
    nft = find_program("nft", search_path())
    assert nft is not None, "prepare_filter comes first"
    done = subprocess.run([nft, "--file", "-"], input=rules, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def prepare_filter() -> None:
    """Debian's nft(8), which comes with most installations of podman."""
    if find_program("nft", search_path()) is None:
        failed = install(["nftables"], console=Console())
        assert failed is None, failed
