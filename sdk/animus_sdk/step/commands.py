"""The two commands of a step's helper container, from its arguments and environment."""

from __future__ import annotations

import os

from animus_sdk.errors import AnimusError
from animus_sdk.step.attempts import AttemptContext, read_attempt_context
from animus_sdk.step.collect import collect
from animus_sdk.step.failures import tell
from animus_sdk.step.fetch import fetch
from animus_sdk.step.signals import wait_for_end_of_main

USAGE = 2
READABLE_BY_ALL = 0o022
"""The umask: directories 0755, files 0644, whatever the image says."""


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        tell("usage: python -m animus_sdk.step fetch|collect")
        return USAGE
    os.umask(READABLE_BY_ALL)
    try:
        context = read_attempt_context(os.environ)
        return 0 if COMMANDS[arguments[0]](context) else 1
    except (AnimusError, OSError) as error:
        # No report could be written: the agent takes that for a failure of the platform.
        tell(str(error))
        return 1


def _collect(context: AttemptContext) -> bool:
    if context.collect_after_signal:
        if context.ready is not None:
            (context.directory / context.ready).touch()
        wait_for_end_of_main()
    return collect(context)


COMMANDS = {"fetch": fetch, "collect": _collect}
