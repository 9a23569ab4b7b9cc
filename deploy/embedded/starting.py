"""Starts commands of services: as their user, in their view of the file system, into their log."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from signal import Signals

from deploy.embedded.accounts import Account, Accounts
from deploy.embedded.confinement import Step, confined
from deploy.embedded.layout import Layout
from deploy.embedded.logs import open_log
from deploy.embedded.services import Service, Task

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    layout: Layout
    accounts: Accounts
    view: tuple[Step, ...]
    """What the services' account needs to reach its files; the engine's account needs nothing."""

    def start_service(self, service: Service) -> subprocess.Popen[bytes]:
        return self._start(
            service.argv,
            log=service.name,
            environment=service.environment,
            account=service.account,
            umask=service.umask,
            on_supervisor_death=service.on_supervisor_death,
        )

    def start_task(self, task: Task, *, of: Service) -> subprocess.Popen[bytes]:
        return self._start(
            task.argv,
            log=of.name,
            environment=task.environment,
            account=task.account,
            umask=0o077,
            on_supervisor_death=Signals.SIGKILL,
        )

    def _start(
        self,
        argv: tuple[str, ...],
        *,
        log: str,
        environment: Mapping[str, str],
        account: Account,
        umask: int,
        on_supervisor_death: Signals,
    ) -> subprocess.Popen[bytes]:
        environment = _ENVIRONMENT | dict(environment)
        command = self.accounts.command(
            argv, account=account, environment=environment, on_parent_death=on_supervisor_death
        )
        if account is Account.SERVICES:
            command = confined(command, self.view)
        with open(open_log(self.layout.log(log)), "wb", buffering=0) as output:
            return subprocess.Popen(
                command,
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=umask,
            )
