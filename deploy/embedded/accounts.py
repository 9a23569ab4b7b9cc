"""As whom a service runs: an unprivileged system user when started as root, else the caller.

The agent alone keeps the rights it needs for the container engine: root, or `sudo -n` to it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from deploy.embedded.errors import StackError

SERVICE_USER = "animus"
SERVICE_USER_SETTING = "ANIMUS_SERVICE_USER"


class Account(StrEnum):
    SERVICES = "services"
    """Servers, api and worker: no rights beyond their own files."""

    ENGINE = "engine"
    """The agent: may talk to the container engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Who the two accounts are on this machine, for whoever started the stack."""

    services: Identity
    started_by_root: bool
    has_sudo: bool

    def owner_of(self, account: Account) -> Identity:
        """Who owns the files of a service under `account`."""
        return self.services if account is Account.SERVICES else caller()

    def command(
        self,
        argv: tuple[str, ...],
        *,
        account: Account,
        environment: Mapping[str, str],
        on_parent_death: signal.Signals,
    ) -> tuple[str, ...]:
        """`argv` with the programs before it that change to `account` and then become it.

        The process gets `on_parent_death` when its supervisor ends in whatever way. The kernel
        forgets that wish when ids change, so setpriv(1) makes it last.
        """
        setpriv = ("setpriv", "--pdeathsig", on_parent_death.name.removeprefix("SIG"))
        if account is Account.ENGINE:
            return (*self._rise(environment), *setpriv, "--", *argv)
        if not self.started_by_root or self.services.uid == 0:
            return (*setpriv, "--no-new-privs", "--", *argv)
        who = ("--reuid", str(self.services.uid), "--regid", str(self.services.gid))
        return (*setpriv, *who, *_NO_PRIVILEGES, "--", *argv)

    def _rise(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        if self.started_by_root or not self.has_sudo:
            return ()
        # sudo clears the environment; nothing in it is secret (settings files hold the secrets).
        settings = (f"{name}={value}" for name, value in environment.items())
        return ("sudo", "-n", "--", "env", *settings)


_NO_PRIVILEGES = (
    "--clear-groups",
    "--inh-caps=-all",
    "--ambient-caps=-all",
    "--bounding-set=-all",
    "--no-new-privs",
)


def settle_accounts(environment: Mapping[str, str]) -> Accounts:
    """The accounts for this caller; as root, make the service user if it is missing."""
    started_by_root = os.geteuid() == 0
    return Accounts(
        services=_service_user(environment) if started_by_root else caller(),
        started_by_root=started_by_root,
        has_sudo=not started_by_root and _sudo_works(),
    )


def caller() -> Identity:
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Identity(name=name, uid=uid, gid=os.getegid())


def _service_user(environment: Mapping[str, str]) -> Identity:
    name = environment.get(SERVICE_USER_SETTING, SERVICE_USER)
    found = _find_user(name)
    if found is None:
        _create_user(name)
        found = _find_user(name)
    if found is None:
        raise StackError(f"The new user {name} can't be found. Check /etc/nsswitch.conf.")
    return found


def _find_user(name: str) -> Identity | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Identity(name=name, uid=entry.pw_uid, gid=entry.pw_gid)


def _create_user(name: str) -> None:
    command = ["useradd", "--system", "--user-group", "--no-create-home"]
    command += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", name]
    try:
        made = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise StackError(
            f"The servers run as the user {name}, and 'useradd' is not here to create it. Create "
            f"it yourself, or set {SERVICE_USER_SETTING} to an unprivileged user that exists."
        ) from None
    exists_already = 9  # useradd(8): another stack was faster
    if made.returncode not in (0, exists_already):
        raise StackError(f"The user {name} can't be created: {made.stderr.strip()}")


def _sudo_works() -> bool:
    if shutil.which("sudo") is None:
        return False
    return subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0
