"""The code of a run, read from git: what is taken, what is left out, and how that is said."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from animus_sdk.errors import SettingsUnfit
from animus_sdk.printable import printable
from animus_sdk.source import SourceError, SourcePack, build_source_pack

SHOWN = 5
_SECRETS = re.compile(
    rb"\.env(\.(?!example$|sample$|template$).*)?|\.netrc|\.pgpass|\.npmrc|\.pypirc|id_(rsa|ed25519)"
    rb"|.*\.(pem|key|p12|pfx|jks|kdbx)"
)
"""Names under which people keep credentials beside their code."""
_CACHES = frozenset(
    {b"__pycache__", b".venv", b".ipynb_checkpoints", b".mypy_cache", b".pytest_cache",
     b".ruff_cache"}
)  # fmt: skip

LeaveOut = Callable[[bytes], bool]


def pack_committed(folder: Path, data: Iterable[Path]) -> SourcePack:
    """Raises `SettingsUnfit` where something is not committed, but `data`, which is no code."""
    return _checked(folder, _build(folder, changes=False, leave_out=_data_in(folder, data)))


def pack_with_changes(folder: Path, data: Iterable[Path]) -> SourcePack:
    """Everything that git does not ignore, but `data`."""
    return _build(folder, changes=True, leave_out=_data_in(folder, data))


def pack_short_path(folder: Path, data: Iterable[Path], *, production: bool) -> SourcePack:
    """What is not committed as well, in development; without what is untracked and no code: data
    that the run gets as datasets, caches, and files that look like credentials."""
    is_data = _data_in(folder, data)
    pack = _build(
        folder, changes=not production, leave_out=lambda path: is_data(path) or _is_no_code(path)
    )
    return _checked(folder, pack) if production else pack


def code_words(pack: SourcePack, *, taken: bool) -> str:
    """One line on what was taken."""
    commit = pack.commit[:12]
    if not (taken and pack.is_dirty):
        return f"{commit}, all committed"
    return (
        f"{commit} and what is not committed (development takes it): {_names(pack.changed_paths)}"
    )


def secret_words(pack: SourcePack) -> str | None:
    """What was left out because it may hold credentials; the rest nobody misses."""
    found = [path for path in pack.untracked_left_out if _looks_secret(os.fsencode(path))]
    if not found:
        return None
    return f"{_names(found)}: may hold credentials; 'git add' takes it all the same"


def _build(folder: Path, *, changes: bool, leave_out: LeaveOut) -> SourcePack:
    try:
        return build_source_pack(folder, include_changes=changes, leave_out=leave_out)
    except SourceError as error:
        raise SourceError(
            f"{error.message} (To run without code beside the image: --no-code)", code=error.code
        ) from None


def _checked(folder: Path, pack: SourcePack) -> SourcePack:
    if pack.is_dirty:
        raise SettingsUnfit(_dirty(folder, pack.changed_paths), code="uncommitted_changes")
    return pack


def _data_in(folder: Path, data: Iterable[Path]) -> LeaveOut:
    real = folder.resolve()
    roots = [os.fsencode(below) for path in data for below in _below(real, path)]

    def is_data(path: bytes) -> bool:
        return any(path == root or path.startswith(root + b"/") for root in roots)

    return is_data


def _is_no_code(path: bytes) -> bool:
    return _looks_secret(path) or not _CACHES.isdisjoint(path.split(b"/"))


def _below(folder: Path, path: Path) -> Iterable[Path]:
    """The path as it was said, and what it leads to, where they are below the folder."""
    for one in {Path(os.path.abspath(path)), path.resolve()}:
        if one.is_relative_to(folder):
            yield one.relative_to(folder)


def _looks_secret(path: bytes) -> bool:
    return _SECRETS.fullmatch(path.rpartition(b"/")[2]) is not None


def _dirty(folder: Path, changed: Sequence[str]) -> str:
    return (
        f"What is in {printable(str(folder))} is not what is committed: {_names(changed)}. Commit"
        " it; in development --allow-dirty runs it as it is."
    )


def _names(paths: Sequence[str]) -> str:
    names = ", ".join(printable(path) for path in paths[:SHOWN])
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return names + more
