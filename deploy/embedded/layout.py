"""Where everything of one stack lies below its state directory, and who owns it.

The state directory and what the supervisor writes belong to whoever started the stack; each
service owns only its own data directory. So nothing that runs as root writes into a directory
that a service could tamper with.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.embedded.accounts import Account, Accounts, caller
from deploy.embedded.errors import StackError
from deploy.embedded.files import PASSAGE, make_directory

MARK = "stack.json"
"""The file that tells a state directory from any other directory."""

DATA_DIRECTORIES = {
    "postgres": Account.SERVICES,
    "objects": Account.SERVICES,
    "object-versions": Account.SERVICES,
    "api": Account.SERVICES,
    "worker": Account.SERVICES,
    "agent": Account.ENGINE,
}
"""Those of a stack's services."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    state: Path
    directories: Mapping[str, Account] = field(default_factory=lambda: DATA_DIRECTORIES)

    @property
    def mark(self) -> Path:
        return self.state / MARK

    @property
    def lock(self) -> Path:
        return self.state / "lock"

    @property
    def status(self) -> Path:
        return self.state / "status.json"

    @property
    def supervisor(self) -> Path:
        return self.running / "supervisor.json"

    @property
    def running(self) -> Path:
        return self.state / "run"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def secrets(self) -> Path:
        return self.state / "secrets"

    @property
    def settings(self) -> Path:
        return self.state / "settings"

    @property
    def keys(self) -> Path:
        return self.state / "keys"

    @property
    def temporal_key(self) -> Path:
        """Signs the tokens that Temporal lets in."""
        return self.secrets / "temporal-access.pem"

    @property
    def published(self) -> Path:
        """Files that a server shows to everybody on this machine: nothing secret."""
        return self.state / "published"

    @property
    def handed_over(self) -> Path:
        """Files that are there from the start, for services to write into."""
        return self.state / "handed-over"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def data(self, name: str) -> Path:
        """A directory that one service owns."""
        return self.state / name

    def create(self, accounts: Accounts) -> None:
        """Make what is missing; refuse a directory that holds something else."""
        self._create_state()
        for closed in (self.running, self.logs, self.secrets):
            make_directory(closed, owner=caller())
        for passage in (self.settings, self.keys, self.published, self.handed_over):
            make_directory(passage, owner=caller(), mode=PASSAGE)
        for name, account in self.directories.items():
            make_directory(self.data(name), owner=accounts.owner_of(account))

    def purge(self) -> None:
        """Delete the state directory with all data in it."""
        if not self.state.exists():
            return
        if not self.mark.is_file():
            raise StackError(f"{self.state} is not the state of a stack: nothing was deleted.")
        shutil.rmtree(self.state)

    def _create_state(self) -> None:
        try:
            for parent in reversed(self.state.parents):
                parent.mkdir(mode=0o755, exist_ok=True)
            if self.state.exists() and not self.mark.is_file() and any(self.state.iterdir()):
                raise StackError(
                    f"{self.state} exists and is not the state of a stack. "
                    "Give an empty or new directory with --state."
                )
            make_directory(self.state, owner=caller(), mode=PASSAGE)
        except PermissionError as error:
            raise StackError(
                f"{error.filename} can't be written by {caller().name}. If an earlier stack was "
                "started as root, start this one as root too, or use another --state."
            ) from error
