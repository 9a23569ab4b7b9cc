"""Who may do what: strangers nothing, components their own part, and nothing listens outside."""

from __future__ import annotations

import http.client
import os
import ssl
from ipaddress import ip_address
from pathlib import Path

import pytest

from deploy.dev_cluster.certificates import Pair
from deploy.dev_cluster.clusters import Cluster
from deploy.dev_cluster.crews import NAMES
from deploy.dev_cluster.sites import layout_of
from deploy.embedded.accounts import Account, settle_accounts
from deploy.programs import CommandFailed, ask
from tests.support.sockets import listening

pytestmark = pytest.mark.cluster

CONTROL_PLANE = ("etcd", "apiserver", "controller-manager", "scheduler")
PATIENCE = 30.0


def get(address: str, port: int, path: str, *, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection(address, port, timeout=PATIENCE, context=context)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def caller(cluster: Cluster, *, trusts: str, shows: str | None = None) -> ssl.SSLContext:
    keys = layout_of(cluster.config.state).keys
    context = ssl.create_default_context(cafile=str(keys / f"{trusts}.crt"))
    if shows:
        pair = Pair.at(keys, shows)
        context.load_cert_chain(pair.certificate, pair.key)
    return context


def test_the_apiserver_knows_no_anonymous_caller(cluster: Cluster) -> None:
    port = cluster.config.ports.kube_apiserver
    for shows, status in ((None, 401), ("apiserver", 401), ("admin", 200)):
        context = caller(cluster, trusts="cluster-authority", shows=shows)
        assert get("127.0.0.1", port, "/api/v1/namespaces", context=context) == status


def test_the_kubelet_answers_the_apiserver_and_nobody_else(cluster: Cluster) -> None:
    place = (cluster.host_address, cluster.config.ports.kubelet, "/pods")
    answers = ((None, 401), ("scheduler", 403), ("apiserver-kubelet", 200))
    for shows, status in answers:
        context = caller(cluster, trusts="cluster-authority", shows=shows)
        assert get(*place, context=context) == status


@pytest.mark.parametrize("shows", [None, "admin", "apiserver-kubelet"])
def test_etcd_takes_no_certificate_of_kubernetes(cluster: Cluster, shows: str | None) -> None:
    context = caller(cluster, trusts="etcd-authority", shows=shows)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        get("127.0.0.1", cluster.config.ports.kube_etcd, "/version", context=context)
    welcome = caller(cluster, trusts="etcd-authority", shows="apiserver-etcd")
    assert get("127.0.0.1", cluster.config.ports.kube_etcd, "/version", context=welcome) == 200


def test_a_node_reads_no_secret_that_is_not_for_its_pods(cluster: Cluster) -> None:
    kubeconfig = layout_of(cluster.config.state).settings / "kubelet.kubeconfig"
    command = (str(cluster.kubectl_program), "--kubeconfig", str(kubeconfig))
    with pytest.raises(CommandFailed, match="Forbidden"):
        ask((*command, "get", "secrets", "--all-namespaces"))


def test_controllers_work_under_accounts_of_their_own(cluster: Cluster) -> None:
    accounts = cluster.kubectl("get", "serviceaccounts", "--namespace", "kube-system")
    assert "job-controller" in accounts


def test_the_control_plane_runs_without_privileges(cluster: Cluster) -> None:
    uid = settle_accounts(os.environ).owner_of(Account.SERVICES).uid
    for name in CONTROL_PLANE:
        process = Path(f"/proc/{cluster.pid(name)}")
        assert process.stat().st_uid == uid != 0
        status = dict(row.split(":", 1) for row in (process / "status").read_text().splitlines())
        assert (int(status["CapEff"], 16), status["NoNewPrivs"].strip()) == (0, "1")


def test_keys_are_private_and_the_authorities_are_roots(cluster: Cluster) -> None:
    layout = layout_of(cluster.config.state)
    secrets = [*layout.keys.glob("*.key"), *layout.settings.glob("*.kubeconfig")]
    secrets.append(cluster.kubeconfig)
    assert len(secrets) > 10
    assert {file.stat().st_mode & 0o777 for file in secrets} == {0o600}
    for name in ("cluster-authority", "etcd-authority", "admin", "kubelet"):
        assert (layout.keys / f"{name}.key").stat().st_uid == 0


def test_nothing_listens_but_on_loopback_and_on_the_pods_bridge(cluster: Cluster) -> None:
    for name in NAMES:
        addresses = {str(ip_address(each)) for each in listening(cluster.pid(name))}
        allowed = {"127.0.0.1", "::1"}
        if name == "kubelet":
            allowed.add(cluster.host_address)
            assert cluster.host_address in addresses
        assert addresses, f"{name} does not listen at all"
        assert addresses <= allowed
