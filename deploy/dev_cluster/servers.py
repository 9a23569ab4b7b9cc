"""Which programs of Kubernetes are built, and from what."""

from __future__ import annotations

from pathlib import Path

from deploy.embedded.servers import GVISOR, Program, Server

SOURCES = Path(__file__).resolve().parent / "servers"

VERSION = "v1.34.4"
"""As in go.mod. 1.34 still runs on cgroup v1 and speaks to the containerd 1.6 of Debian 12."""

PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")

# What `version` says; without these a node would report v0.0.0.
_STAMPS = (
    f"-X k8s.io/component-base/version.gitVersion={VERSION}",
    "-X k8s.io/component-base/version.gitMajor=1",
    "-X k8s.io/component-base/version.gitMinor=34",
)

KUBERNETES = Server(
    name="kubernetes",
    programs=tuple(
        Program(name=name, package=f"k8s.io/kubernetes/cmd/{name}") for name in PROGRAMS
    ),
    sources=SOURCES,
    linker_flags=_STAMPS,
)
ETCD = Server(
    name="etcd",
    programs=(Program(name="etcd", package="go.etcd.io/etcd/server/v3"),),
    sources=SOURCES,
)
REGISTRY = Server(
    name="registry",
    programs=(
        Program(name="registry", package="github.com/distribution/distribution/v3/cmd/registry"),
    ),
    sources=SOURCES,
)
KWOK = Server(
    name="kwok",
    programs=(Program(name="kwok", package="sigs.k8s.io/kwok/cmd/kwok"),),
    sources=SOURCES,
)
"""Simulates nodes; built for the benchmark that needs thousands of pods, and for nothing else."""

GVISOR_SHIM = Server(
    name="gvisor-shim",
    programs=(Program(name="containerd-shim-runsc-v1", package="."),),
    sources=SOURCES,
    is_optional=True,
)

SERVERS = (ETCD, KUBERNETES, REGISTRY, GVISOR, GVISOR_SHIM)
