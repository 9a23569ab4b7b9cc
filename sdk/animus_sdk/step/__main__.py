"""`python -m animus_sdk.step COMMAND`: exit code 0 where the report says ok, else 1."""

from __future__ import annotations

import os
import sys

from animus_sdk.step.signals import take_signals

if __name__ == "__main__":
    # Before what takes long to import: for process 1 a signal that nobody takes yet is lost.
    take_signals(sys.argv[1:], os.environ)
    from animus_sdk.step.commands import main

    sys.exit(main(sys.argv[1:]))
