"""The container engine of this machine: found, or installed, or a clear word about what is missing.

Podman first, then docker; whichever is seen to run a hardened container.
"""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path

from deploy.embedded.console import Console
from deploy.embedded.engine.description import Engine, EngineKind, current_boot_id
from deploy.embedded.engine.packages import install, install_command, missing_packages
from deploy.embedded.engine.privileges import elevation
from deploy.embedded.engine.probes import Attempts, find_sandbox, find_working
from deploy.embedded.engine.storage import Storage, get_storage, purge
from deploy.embedded.errors import StackError
from deploy.embedded.locks import locked
from deploy.programs import CommandFailed, search_path

__all__ = ["Engine", "EngineKind", "EngineUnavailable", "get_engine", "purge"]


class EngineUnavailable(StackError):
    """No container can be run on this machine."""


def get_engine(
    file: Path,
    *,
    console: Console,
    may_install: bool = True,
    cache: Path | None = None,
    search: str | None = None,
) -> Engine:
    """The engine that `file` describes; if it holds none for this boot, find one and write it.

    `search` replaces PATH. Safe to call from several processes at once.
    Raises `EngineUnavailable` with what was tried and what to do.
    """
    storage = get_storage(cache)
    with locked(storage.lock, on_wait=lambda: console.say("    waiting for another start ...")):
        found = _find_described(file, storage=storage)
        if found is None:
            found = _probe(
                storage=storage,
                search=search or search_path(),
                console=console,
                may_install=may_install,
            )
            _write(file, found)
    return found


def _find_described(file: Path, *, storage: Storage) -> Engine | None:
    if not file.is_file() or not storage.configuration.is_file():
        return None
    engine = Engine.from_json(file.read_text())
    if engine.boot_id != current_boot_id():
        return None
    is_of_this_set_up = engine.kind is EngineKind.DOCKER or storage.environment in engine.argv
    return engine if is_of_this_set_up else None


def _probe(*, storage: Storage, search: str, console: Console, may_install: bool) -> Engine:
    if platform.machine() != "x86_64":
        raise EngineUnavailable(
            f"The images are built for linux/amd64, and this machine is {platform.machine()}."
        )
    storage.prepare()
    attempts = Attempts()
    found = find_working(storage=storage, search=search, attempts=attempts)
    missing = missing_packages(search)
    if found is None and missing and may_install:
        failed = install(missing, console=console)
        if failed:
            attempts.note("installing with apt", failed)
        else:
            attempts = Attempts()
            found = find_working(storage=storage, search=search, attempts=attempts)
    if found is None:
        raise EngineUnavailable(_explain(attempts, missing=missing_packages(search)))
    return _with_sandbox(found, storage=storage, console=console)


def _with_sandbox(engine: Engine, *, storage: Storage, console: Console) -> Engine:
    try:
        return replace(engine, sandbox=find_sandbox(engine, storage=storage))
    except CommandFailed as failure:
        console.say(f"    no gVisor here, steps will run under {engine.runtime}: {failure}")
        return engine


def _explain(attempts: Attempts, *, missing: list[str]) -> str:
    advice = (
        f"Install what is missing, then try again:\n  {install_command(missing)}"
        if missing
        else _REPAIR
        if os.geteuid() == 0 or elevation()
        else _BECOME_ROOT
    )
    return f"No container engine works here. Tried:\n{attempts}\n{advice}"


_REPAIR = (
    "Repair one of them until it runs a container with --memory, --cpus and --network none, or "
    "use a machine that allows containers."
)
_BECOME_ROOT = (
    "Try again as root, or allow this user 'sudo' without a password. To run containers without "
    "root, this user needs cgroup v2 and its own range of ids (usermod --add-subuids)."
)


def _write(file: Path, engine: Engine) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(f".{file.name}.new")
    scratch.write_text(engine.to_json())
    scratch.rename(file)
