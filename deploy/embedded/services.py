"""What a service is, as data: how it starts, when it is ready, how it stops. Starts nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from deploy.embedded.accounts import Account
from deploy.embedded.errors import StackError

Probe = Callable[[int], bool]
"""Asked with the process's pid, again and again, until it says that the service answers."""

TASK_TIME = 120.0
READY_TIME = 60.0
STOP_TIME = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A command that runs to its end before a service starts or after it answers.

    It runs at every start of the service, so it must be harmless when all is done already.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    account: Account = Account.SERVICES
    within: float = TASK_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One thing to keep running; without `argv`, it is done when its tasks are."""

    name: str
    argv: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    account: Account = Account.SERVICES
    umask: int = 0o077
    needs: tuple[str, ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    """Name of the port's setting and number; each must be free when the service first starts."""
    before: tuple[Task, ...] = ()
    is_ready: Probe = lambda _pid: True
    after: tuple[Task, ...] = ()
    ready_within: float = READY_TIME
    stop_by: signal.Signals = signal.SIGTERM
    stop_within: float = STOP_TIME
    on_supervisor_death: signal.Signals = signal.SIGKILL
    """Nobody is left to insist, so by default this does not ask. All our parts survive it."""
    address: str = ""
    """Where a person finds it, for status and messages."""


def with_needs(names: Iterable[str], *, among: Sequence[Service]) -> list[Service]:
    """The named services and all they need, in the order of `among` (which starts needs first)."""
    by_name = {service.name: service for service in among}
    wanted: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in by_name:
            raise StackError(f"There is no service {name!r}. There are: {', '.join(by_name)}.")
        if name not in wanted:
            wanted.add(name)
            pending.extend(by_name[name].needs)
    return [service for service in among if service.name in wanted]
