"""`python -m animus_sdk.step fetch|collect`: exit code 0 where the report says ok, else 1."""

from __future__ import annotations

import os
import sys

from animus_sdk.errors import AnimusError
from animus_sdk.step.attempts import read_attempt_context
from animus_sdk.step.collect import collect
from animus_sdk.step.failures import tell
from animus_sdk.step.fetch import fetch

COMMANDS = {"fetch": fetch, "collect": collect}
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
