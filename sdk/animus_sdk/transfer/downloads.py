"""Downloads from presigned URLs: hashed on the way, and there under their name only when whole."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from animus_sdk.errors import FileUnfit, TransferFailed, Unreachable
from animus_sdk.transfer.digests import PREFIX, digest_of_file
from animus_sdk.transfer.links import shown
from animus_sdk.transfer.manifests import path_problem
from animus_sdk.transfer.progress import Progress, Silent
from animus_sdk.transfer.stores import Store, UrlRefused
from animus_sdk.transfer.uploads import FRESH_URLS
from animus_sdk.wire.views import Download, FileDownload

WRONG_TWICE = 2
"""Wrong bytes once may be the network; twice it is the store."""

Renew = Callable[[str], Download]
"""A fresh URL for what is kept at this path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    files: int
    bytes: int
    already: int
    """Of the files: those that were there, with this content."""


def download_files(
    store: Store,
    files: Sequence[FileDownload],
    into: Path,
    *,
    renew: Renew,
    progress: Progress | None = None,
    replace: bool = False,
) -> Downloaded:
    """Every file below the directory `into`. What is there with the same content is left.

    Raises `FileUnfit` for a path that would leave `into`, and where a file of another content is
    there, unless `replace`.
    """
    progress = progress or Silent()
    _check_paths(files)
    progress.begin(sum(file["download"]["size"] for file in files))
    already = 0
    for file in files:
        target = into / file["path"]
        if _is_there(target, file["download"], replace=replace):
            progress.advance(file["download"]["size"])
            already += 1
            continue
        download_file(
            store,
            file["download"],
            target,
            renew=lambda path=file["path"]: renew(path),  # type: ignore[misc]  # bound now
            progress=progress,
        )
    total = sum(file["download"]["size"] for file in files)
    return Downloaded(files=len(files), bytes=total, already=already)


def download_file(
    store: Store,
    download: Download,
    target: Path,
    *,
    renew: Callable[[], Download],
    progress: Progress | None = None,
) -> None:
    """One file, verified, renamed to `target` at the end. A file that is there is replaced."""
    what = shown(target.name)
    refused = wrong = 0
    patience = store.begin_retries()
    while True:
        draft = _Draft(target, progress=progress or Silent())
        try:
            with store.get(download["url"], what=what) as chunks:
                draft.write(chunks)
            if draft.is_as(download):
                draft.keep()
                return
            wrong += 1
            if wrong >= WRONG_TWICE:
                raise _wrong_bytes(what)
        except UrlRefused:
            refused += 1
            if refused >= FRESH_URLS:
                raise TransferFailed(
                    f"The object store refuses every URL for {what}.", code="urls_refused"
                ) from None
            download = renew()
        except Unreachable:
            if not patience.wait():
                raise
        finally:
            draft.discard()


def _wrong_bytes(what: str) -> TransferFailed:
    return TransferFailed(
        f"The object store has other bytes for {what} than were registered. Nothing was kept."
        " Tell the operators: the store is damaged, or was changed.",
        code="digest_mismatch",
    )


class _Draft:
    """A file that is being written beside its target."""

    def __init__(self, target: Path, *, progress: Progress) -> None:
        self._target = target
        self._progress = progress
        self._path = target.with_name(f".{secrets.token_hex(8)}.part")
        self._hasher = hashlib.sha256()
        self._size = 0
        self._kept = False

    def write(self, chunks: Iterator[bytes]) -> None:
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("xb") as file:
                for chunk in chunks:
                    self._hasher.update(chunk)
                    self._size += len(chunk)
                    file.write(chunk)
                    self._progress.advance(len(chunk))
        except OSError as error:
            code = "disk_full" if error.errno == errno.ENOSPC else "cannot_write"
            raise FileUnfit(
                f"Cannot write {shown(self._target)}: {error.strerror}.", code=code
            ) from None

    def is_as(self, download: Download) -> bool:
        digest = PREFIX + self._hasher.hexdigest()
        return (digest, self._size) == (download["sha256"], download["size"])

    def keep(self) -> None:
        os.replace(self._path, self._target)
        self._kept = True

    def discard(self) -> None:
        if not self._kept:
            self._path.unlink(missing_ok=True)
            self._progress.advance(-self._size)


def _check_paths(files: Sequence[FileDownload]) -> None:
    for file in files:
        problem = path_problem(file["path"])
        if problem is not None:
            raise FileUnfit(f"{shown(file['path'])} {problem}.", code="unsafe_path")


def _is_there(target: Path, download: Download, *, replace: bool) -> bool:
    if not os.path.lexists(target):
        return False
    same = target.is_file() and digest_of_file(target)[0] == download["sha256"]
    if not same and not replace:
        raise FileUnfit(
            f"{shown(target)} is there already, with other content. Choose another directory, or"
            " say --replace.",
            code="file_exists",
        )
    return same
