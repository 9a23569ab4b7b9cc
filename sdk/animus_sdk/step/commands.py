"""The commands of a step's helper containers, from their arguments and environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from animus_sdk.errors import AnimusError
from animus_sdk.step.attempts import read_attempt_context
from animus_sdk.step.collect import collect
from animus_sdk.step.failures import tell
from animus_sdk.step.fetch import fetch
from animus_sdk.step.latch import is_switched, latch, reach
from animus_sdk.step.places import are_open, read_places
from animus_sdk.step.signals import wait_for_end_of_main

USAGE = 2
READABLE_BY_ALL = 0o022
"""The umask: directories 0755, files 0644, whatever the image says."""
OPEN_SECONDS = 3_000
"""Of the hour that collect has: the agent that opens the network again may be away."""


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        tell(f"usage: python -m animus_sdk.step {'|'.join(COMMANDS)}")
        return USAGE
    os.umask(READABLE_BY_ALL)
    try:
        return 0 if COMMANDS[arguments[0]](os.environ) else 1
    except (AnimusError, OSError) as error:
        # No report could be written: the agent takes that for a failure of the platform.
        tell(str(error))
        return 1


def _fetch(environment: Mapping[str, str]) -> bool:
    return fetch(read_attempt_context(environment))


def _collect(environment: Mapping[str, str]) -> bool:
    context = read_attempt_context(environment)
    if context.collect_after_signal:
        if not is_switched(environment):
            tell("the network of fetch is still there: started again until it is not")
            return False
        if context.ready is not None:
            (context.directory / context.ready).touch()
        wait_for_end_of_main()
        if not are_open(read_places(environment), within=OPEN_SECONDS):
            tell("api or store are still out of reach")
    return collect(context)


COMMANDS = {"fetch": _fetch, "latch": latch, "collect": _collect, "reach": reach}
