"""Which files two commits differ in, where this folder's clone has both. The gateway has packs, no
history; so this is what git says here, and no part of the gateway's answer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from animus_sdk._source_git import Git
from animus_sdk.source import SourceError

_STATES = {"A": "new", "D": "gone", "M": "changed", "T": "changed"}


def find_changed_files(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, folder: Path
) -> list[dict[str, str]] | None:
    """`{"path", "change"}` of every file below the directories that both plans name as their code.

    None where it cannot be told: code that names no commit, no clone, or a clone without them.
    """
    if before is None or after is None:
        return None
    try:
        root = Path(Git(folder).ask_line("rev-parse", "--show-toplevel"))
        git = Git(root)
        commits = [git.find_commit(code["commit"]) for code in (before, after)]
        if None in commits:
            return None
        paths = sorted({str(code.get("path") or ".") for code in (before, after)})
        said = git.ask(
            "diff-tree", "-r", "-z", "--no-renames", "--name-status",
            *(str(commit) for commit in commits), "--", *paths,
        )  # fmt: skip
    except SourceError:
        return None
    return _read(said)


def _read(said: bytes) -> list[dict[str, str]]:
    """State and path in turns, each ended by NUL."""
    parts = [os.fsdecode(part) for part in said.split(b"\0")[:-1]]
    return [
        {"path": path, "change": _STATES.get(state, "changed")}
        for state, path in zip(parts[::2], parts[1::2], strict=True)
    ]
