"""Compiled Python for an image whose files can't be written when it runs.

The image's own interpreter does it, started through its own loader: on any x86-64 Linux, without
a container and without root. It compiles and imports nothing of what it compiles.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from deploy.images.errors import ImageBuildFailed
from deploy.programs import CommandFailed, run_long

_LIBRARIES = "usr/lib/x86_64-linux-gnu"


def compile_tree(tree: Path, *, below: str, interpreter: Path, tick: Callable[[], None]) -> None:
    """Compile all modules in `tree`/`below`; `interpreter` is the root of an image with Python.

    The compiled files name their source by hash instead of by time and are never checked again:
    the same tree gives the same bytes. Raises `ImageBuildFailed`.
    """
    libraries = interpreter / _LIBRARIES
    python = [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries)]
    python += [str(interpreter / "usr" / "bin" / "python3.11"), "-I", "-S", "-B"]
    options = ["-q", "-f", "--invalidation-mode", "unchecked-hash"]
    paths = ["-s", str(tree), "-p", "/", str(tree / below)]
    try:
        run_long([*python, "-m", "compileall", *options, *paths], tick=tick, environment=_FIXED)
    except CommandFailed as failure:
        raise ImageBuildFailed(
            f"Python files for an image can't be compiled: {failure}"
        ) from failure


_FIXED = {"PYTHONHASHSEED": "0"}
