"""Checks, before anything starts, that the services' account reaches what it needs."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

from deploy.embedded.configuration import CHECKOUT
from deploy.embedded.errors import StackError
from deploy.embedded.logs import tail
from deploy.embedded.services import Service, Task
from deploy.embedded.sites import postgres_program
from deploy.embedded.starting import Starter


def needed_paths(state: Path, programs: Path) -> list[Path]:
    """Everything a service of ours reads or runs outside the system's own directories."""
    paths = [CHECKOUT, Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable), state]
    if (programs / "servers").exists():
        paths.append(programs / "servers")
    return paths


def check_reach(starter: Starter) -> None:
    """Really read a few files as that account; what stands in the way is said once, in clear."""
    packages = [str(path) for path in sorted(CHECKOUT.glob("*/__init__.py"))]
    samples = (__file__, *packages, psycopg.__file__, postgres_program("postgres"))
    task = Task(
        name="check-reach",
        argv=(sys.executable, "-I", "-c", _READ_ALL, *samples),
    )
    probe = Service(name="preflight")
    if starter.start_task(task, of=probe).wait(timeout=task.within) == 0:
        return
    name = starter.accounts.services.name
    lines = tail(starter.layout.log(probe.name), 5)
    raise StackError(
        f"The user {name}, as whom the servers run, can't read this checkout or its Python:\n"
        f"{lines}\n"
        f"If it was made under a strict umask, run: chmod -R go+rX {CHECKOUT}\n"
        "If mount namespaces are not allowed here (some containers), move the checkout and the "
        "cache to a directory that everybody may enter (such as /opt), or start as another user "
        "than root."
    )


_READ_ALL = "import sys; [open(name, 'rb').read(1) for name in sys.argv[1:]]"
