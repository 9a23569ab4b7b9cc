"""Whether the kernel killed a container's processes for their memory.

Podman's own word for it is missing on some machines (its monitor hears nothing there), and the
container's memory group is gone with it. The kernel's log names the group, if we may read it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_KERNEL_LOG = Path("/dev/kmsg")
_RECORD_BYTES = 8_192
# Nobody in a container writes here, and no process's name is as long as an id.
_KILL = re.compile(rb"oom-kill:constraint=CONSTRAINT_MEMCG,[^\n]*?oom_memcg=([^,\n]*)")


def kernel_killed(identity: str) -> bool:
    """False also where the log can't be read, or has been overwritten since."""
    wanted = identity.encode()
    try:
        log = os.open(_KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return any(wanted in group for group in _killed_groups(log))
    finally:
        os.close(log)


def _killed_groups(log: int) -> list[bytes]:
    groups: list[bytes] = []
    while True:
        try:
            record = os.read(log, _RECORD_BYTES)
        except BrokenPipeError:
            continue  # overwritten while we read: the next one follows
        except OSError:
            return groups
        if found := _KILL.search(record):
            groups.append(found.group(1))
