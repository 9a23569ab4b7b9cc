"""etcd, apiserver, controller-manager and scheduler: unprivileged, on loopback, over TLS."""

from __future__ import annotations

import ssl

from deploy.dev_cluster.credentials import CLUSTER_AUTHORITY, ETCD_AUTHORITY, client_context
from deploy.dev_cluster.sandboxes import offer_sandbox
from deploy.dev_cluster.sites import TEMPLATES, Site, admin_kubeconfig
from deploy.embedded.accounts import Account
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.probes import answers_ok
from deploy.embedded.services import Service, Task

SERVICE_NETWORK = "172.31.128.0/24"
"""Of the addresses of Services. Nothing answers there: this cluster has no kube-proxy."""

CALLS_A_SECOND = 500

TOKEN_ISSUER = "https://kubernetes.default.svc"


def describe_etcd(site: Site) -> Service:
    ports = site.config.ports
    client = f"https://{LOOPBACK}:{ports.kube_etcd}"
    peer = f"https://{LOOPBACK}:{ports.kube_etcd_peer}"
    certificate, key = site.key_file("etcd.crt"), site.key_file("etcd.key")
    authority = site.key_file(f"{ETCD_AUTHORITY}.crt")
    return Service(
        name="etcd",
        argv=(
            site.program("etcd"),
            *("--name", "etcd", "--data-dir", str(site.layout.data("etcd") / "data")),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"etcd={peer}"),
            *("--cert-file", certificate, "--key-file", key),
            *("--client-cert-auth", "--trusted-ca-file", authority),
            *("--peer-cert-file", certificate, "--peer-key-file", key),
            *("--peer-client-cert-auth", "--peer-trusted-ca-file", authority),
        ),
        ports={"kube_etcd": ports.kube_etcd, "kube_etcd_peer": ports.kube_etcd_peer},
        is_ready=answers_ok(
            ports.kube_etcd,
            "/readyz",
            tls=client_context(site, authority=ETCD_AUTHORITY, client="apiserver-etcd"),
        ),
        address=client,
    )


def describe_apiserver(site: Site) -> Service:
    ports = site.config.ports
    return Service(
        name="apiserver",
        argv=(
            site.program("kube-apiserver"),
            *_etcd_options(site),
            *_serving_options(site),
            *_token_options(site),
            *_kubelet_options(site),
            f"--client-ca-file={site.key_file(f'{CLUSTER_AUTHORITY}.crt')}",
            "--anonymous-auth=false",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--profiling=false",
        ),
        needs=("etcd",),
        ports={"kube_apiserver": ports.kube_apiserver},
        is_ready=answers_ok(
            ports.kube_apiserver,
            "/readyz",
            tls=client_context(site, authority=CLUSTER_AUTHORITY, client="admin"),
        ),
        after=(_grant_access(site), *offer_sandbox(site)),
        stop_within=5.0,  # without etcd it would drain for ever
        address=site.api_url,
    )


def describe_controller_manager(site: Site) -> Service:
    port = site.config.ports.kube_controller_manager
    return Service(
        name="controller-manager",
        argv=(
            site.program("kube-controller-manager"),
            *_client_options(site, "controller-manager", port),
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={site.key_file('service-accounts.key')}",
            f"--root-ca-file={site.key_file(f'{CLUSTER_AUTHORITY}.crt')}",
            f"--flex-volume-plugin-dir={site.layout.data('volume-plugins')}",
        ),
        needs=("apiserver",),
        ports={"kube_controller_manager": port},
        is_ready=answers_ok(port, "/healthz", tls=_strangers_context(site)),
    )


def describe_scheduler(site: Site) -> Service:
    port = site.config.ports.kube_scheduler
    return Service(
        name="scheduler",
        argv=(site.program("kube-scheduler"), *_client_options(site, "scheduler", port)),
        needs=("apiserver",),
        ports={"kube_scheduler": port},
        is_ready=answers_ok(port, "/readyz", tls=_strangers_context(site)),
    )


def _etcd_options(site: Site) -> tuple[str, ...]:
    return (
        f"--etcd-servers=https://{LOOPBACK}:{site.config.ports.kube_etcd}",
        f"--etcd-cafile={site.key_file(f'{ETCD_AUTHORITY}.crt')}",
        f"--etcd-certfile={site.key_file('apiserver-etcd.crt')}",
        f"--etcd-keyfile={site.key_file('apiserver-etcd.key')}",
    )


def _serving_options(site: Site) -> tuple[str, ...]:
    return (
        f"--bind-address={LOOPBACK}",
        f"--secure-port={site.config.ports.kube_apiserver}",
        # Loopback is refused here. Nobody is told: endpoints lead pods to it, and pods have no way.
        f"--advertise-address={site.config.host_address}",
        "--endpoint-reconciler-type=none",
        f"--tls-cert-file={site.key_file('apiserver.crt')}",
        f"--tls-private-key-file={site.key_file('apiserver.key')}",
    )


def _token_options(site: Site) -> tuple[str, ...]:
    return (
        f"--service-account-issuer={TOKEN_ISSUER}",
        f"--service-account-signing-key-file={site.key_file('service-accounts.key')}",
        f"--service-account-key-file={site.key_file('service-accounts.pub')}",
    )


def _kubelet_options(site: Site) -> tuple[str, ...]:
    return (
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={site.key_file(f'{CLUSTER_AUTHORITY}.crt')}",
        f"--kubelet-client-certificate={site.key_file('apiserver-kubelet.crt')}",
        f"--kubelet-client-key={site.key_file('apiserver-kubelet.key')}",
    )


def _client_options(site: Site, name: str, port: int) -> tuple[str, ...]:
    """What controller-manager and scheduler have in common."""
    kubeconfig = site.settings_file(f"{name}.kubeconfig")
    return (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--client-ca-file={site.key_file(f'{CLUSTER_AUTHORITY}.crt')}",
        "--authentication-skip-lookup=true",  # no proxy stands before the apiserver
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--tls-cert-file={site.key_file(f'{name}.crt')}",
        f"--tls-private-key-file={site.key_file(f'{name}.key')}",
        # By default a controller makes 20 pods a second at most, for the sake of api servers that
        # many share. Nobody shares this one.
        f"--kube-api-qps={CALLS_A_SECOND}",
        f"--kube-api-burst={2 * CALLS_A_SECOND}",
        "--leader-elect=false",  # there is one: it need not wait for a lease after it was killed
        "--profiling=false",
    )


def _grant_access(site: Site) -> Task:
    return Task(
        name="grant-access",
        argv=(
            site.program("kubectl"),
            *("--kubeconfig", str(admin_kubeconfig(site.layout))),
            *("apply", "--filename", str(TEMPLATES / "access.yaml")),
        ),
        account=Account.ENGINE,  # the administrator's certificate is root's
    )


def _strangers_context(site: Site) -> ssl.SSLContext:
    """For the health of a component, which it tells everybody."""
    return client_context(site, authority=CLUSTER_AUTHORITY, client=None)
