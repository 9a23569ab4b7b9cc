"""gVisor on the node: for pods that name its RuntimeClass, where it could be built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.dev_cluster.servers import GVISOR_SHIM
from deploy.dev_cluster.sites import TEMPLATES, Site, admin_kubeconfig
from deploy.embedded.accounts import Account
from deploy.embedded.servers import GVISOR, is_built, program_path
from deploy.embedded.services import Task

RUNTIME_CLASS = "gvisor"
SHIM = "containerd-shim-runsc-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    shim: Path
    runsc: Path


def find_sandbox(programs: Path) -> Sandbox | None:
    """None where it is not built: then the cluster has no such class."""
    if not all(is_built(server, cache=programs) for server in (GVISOR, GVISOR_SHIM)):
        return None
    return Sandbox(
        shim=program_path(GVISOR_SHIM, SHIM, cache=programs),
        runsc=program_path(GVISOR, "runsc", cache=programs),
    )


def containerd_section(site: Site) -> str:
    """What containerd is told of it; empty where it is not there."""
    sandbox = find_sandbox(site.programs)
    if sandbox is None:
        return ""
    settings = site.render("runsc.toml", {"runsc": sandbox.runsc})
    file = site.write_settings("runsc.toml", settings, account=Account.ENGINE)
    return site.render("sandbox.toml", {"shim": sandbox.shim, "settings": file})


def offer_sandbox(site: Site) -> tuple[Task, ...]:
    """Have the cluster know the class."""
    if find_sandbox(site.programs) is None:
        return ()
    kubeconfig = ("--kubeconfig", str(admin_kubeconfig(site.layout)))
    apply = ("apply", "--filename", str(TEMPLATES / "sandbox.yaml"))
    return (
        Task(
            name="offer-sandbox",
            argv=(site.program("kubectl"), *kubeconfig, *apply),
            account=Account.ENGINE,
        ),
    )
