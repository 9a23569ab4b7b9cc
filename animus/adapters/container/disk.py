"""Space that an attempt takes on the disk: measured and given back by coreutils.

Its files are user code's: a tree of a hundred thousand levels, or one that changes while it is
walked, must neither exhaust nor mislead us. `du` and `rm` follow no link and hold no path.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from animus.adapters.container.engines import EngineFailed

BYTES_PER_FILE = 4_096
"""What a file counts for at least: inodes are space too."""


async def used_bytes(paths: Sequence[Path]) -> int:
    """What lies below these directories, the larger of blocks and files."""
    blocks = await _total("--block-size=1", paths)
    files = await _total("--inodes", paths)
    return max(blocks, files * BYTES_PER_FILE)


def used_scratch(pid: int) -> int:
    """What a process's /tmp, a file system of its own, holds now; 0 where it is gone."""
    try:
        found = os.statvfs(f"/proc/{pid}/root/tmp")
    except OSError:
        return 0
    return (found.f_blocks - found.f_bfree) * found.f_frsize


async def remove_trees(paths: Sequence[Path]) -> None:
    """Raises `EngineFailed` where something stays: it is tried again."""
    present = [str(path) for path in paths if path.is_symlink() or path.exists()]
    if not present:
        return
    code, _, complaints = await _run("rm", "-rf", "--one-file-system", "--", *present)
    if code != 0:
        raise EngineFailed("Files of an attempt can't be removed.", detail=complaints[-400:])


async def _total(measure: str, paths: Sequence[Path]) -> int:
    """Files may vanish while they are counted: then `du` complains, and its total still stands."""
    _, said, _ = await _run(
        "du", "--summarize", "--total", "--one-file-system", measure, "--",
        *(str(path) for path in paths),
    )  # fmt: skip
    total = said.rstrip().rpartition("\n")[2].split("\t")[0]
    return int(total) if total.isdigit() else 0


async def _run(*command: str) -> tuple[int, str, str]:
    program = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        cwd="/",
    )
    try:
        said, complaints = await program.communicate()
    except asyncio.CancelledError:
        program.kill()
        await program.wait()
        raise
    assert program.returncode is not None
    return program.returncode, said.decode(errors="replace"), complaints.decode(errors="replace")
