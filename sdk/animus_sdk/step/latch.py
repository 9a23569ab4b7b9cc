"""Latch: between fetch and main, until the network of fetch is gone. It holds no token, and sees
nothing of the attempt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from animus_sdk.errors import SettingsUnfit
from animus_sdk.step.attempts import MESSAGE_VARIABLE
from animus_sdk.step.failures import Failure
from animus_sdk.step.places import are_closed, are_open, read_places
from animus_sdk.step.reports import leave_message

SECONDS_VARIABLE = "ANIMUS_LATCH_SECONDS"

EGRESS_VARIABLE = "ANIMUS_EGRESS"
"""What the pod's label said when the container was started; not set where nothing is switched."""
CLOSED = "plan"


def latch(environment: Mapping[str, str]) -> bool:
    """Whether api and store are out of reach; what is wrong else is the message."""
    is_closed = are_closed(read_places(environment), within=_seconds(environment))
    failure = None if is_closed else _NOT_CLOSED
    message = environment.get(MESSAGE_VARIABLE)
    if message:
        said = {"ok": is_closed, "failure": failure.document() if failure else None}
        leave_message(Path(message), said)
    return is_closed


def reach(environment: Mapping[str, str]) -> bool:
    """The opposite, for who examines a cluster: whether each can be reached."""
    return are_open(read_places(environment), within=_seconds(environment))


def is_switched(environment: Mapping[str, str]) -> bool:
    """Whether the agent had said that main comes next, when this container was started.

    Api and store may be out of reach because they are down; main does not begin for that.
    """
    return environment.get(EGRESS_VARIABLE, CLOSED) == CLOSED


def _seconds(environment: Mapping[str, str]) -> float:
    try:
        return float(environment[SECONDS_VARIABLE])
    except (KeyError, ValueError):
        raise SettingsUnfit(f"{SECONDS_VARIABLE} is a number of seconds.") from None


_NOT_CLOSED = Failure(
    failure_class="environment",
    code="egress_not_closed",
    message="Main was not started: its pod still reaches the api or the object store. The cluster "
    "does not enforce its network policies, or its agent can't label pods. Whoever runs it is told "
    "which by animusd doctor cluster --probe.",
)
