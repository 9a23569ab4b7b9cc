"""What a source pack proves: that these files are what the commit has at that directory.

The commit id is recomputed from the pack's own bytes; every file is reached from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from animus.domain.digests import Digest, sha256
from animus.domain.sources.errors import (
    SourceConflict,
    SourceMismatch,
    SourceSuperfluous,
    SourceTooLarge,
    show_name,
)
from animus.domain.sources.limits import (
    MAX_LIMITATIONS_PER_CODE,
    MAX_PATH_BYTES,
    MAX_UNPACKED_BYTES,
)
from animus.domain.sources.names import check_symlink
from animus.domain.sources.objects import EntryMode, ObjectFormat
from animus.domain.sources.packs import Change, SourcePack, read_pack
from animus.domain.sources.walks import Leaf, check_counts, walk_source

_LFS_HEADERS = tuple(
    b"version %b\n" % spec
    for spec in (
        b"https://git-lfs.github.com/spec/v1",
        b"https://hawser.github.com/spec/v1",
        b"http://git-media.io/v/2",
    )
)
_LFS_POINTER_BELOW = 1024  # git-lfs, docs/spec.md: pointer files must be less than 1024 bytes


class SourceState(StrEnum):
    PROVED = "proved"
    CLAIMED = "claimed"
    UNCOMMITTED = "uncommitted"


class SourceLimitationCode(StrEnum):
    CHANGED_FILE = "changed_file"
    CHANGED_FILES_MORE = "changed_files_more"
    LFS_POINTER = "lfs_pointer"
    LFS_POINTERS_MORE = "lfs_pointers_more"
    SUBMODULE = "submodule"
    SUBMODULES_MORE = "submodules_more"


_MORE = {
    SourceLimitationCode.CHANGED_FILE: SourceLimitationCode.CHANGED_FILES_MORE,
    SourceLimitationCode.LFS_POINTER: SourceLimitationCode.LFS_POINTERS_MORE,
    SourceLimitationCode.SUBMODULE: SourceLimitationCode.SUBMODULES_MORE,
}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SourceLimitation:
    """Why the claim is weaker; `subject` is a path below the chosen directory.

    Of the codes that end in `_more` it is how many paths are not named.
    """

    code: SourceLimitationCode
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A regular file or a symbolic link (its content is the target) as a step will see it."""

    path: str
    mode: EntryMode
    sha256: Digest
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProof:
    state: SourceState
    commit: str
    object_format: ObjectFormat
    path: str
    pack_sha256: Digest
    pack_size: int
    files: tuple[SourceFile, ...]
    """In the order of their paths' UTF-8 bytes."""
    total_bytes: int
    limitations: tuple[SourceLimitation, ...]
    """Sorted."""


def verify_source_pack(
    pack: bytes | memoryview, *, commit: str, object_format: ObjectFormat, path: str
) -> SourceProof:
    """Prove the files of a pack from the commit id alone, or raise a `SourceRefused`.

    `path` is the chosen directory, relative to the repository's root, "" for the root itself.
    """
    source = read_pack(pack)
    _expect(source, commit=commit, object_format=object_format, path=path)
    committed = walk_source(source)
    leaves = _apply(source.changes, committed)
    _check_places(leaves)
    files = _list_files(leaves)
    limitations = _summarise(_find_limitations(source.changes, leaves))
    return SourceProof(
        state=_judge(source.changes, limitations),
        commit=commit,
        object_format=object_format,
        path=path,
        pack_sha256=sha256(pack),
        pack_size=memoryview(pack).nbytes,
        files=files,
        total_bytes=sum(file.size for file in files),
        limitations=limitations,
    )


def _expect(source: SourcePack, *, commit: str, object_format: ObjectFormat, path: str) -> None:
    said = (source.object_format, source.commit, source.path)
    if said != (object_format, commit, path.encode("utf-8", "surrogatepass")):
        raise SourceMismatch(
            f"The pack is of commit {source.commit} ({source.object_format}),"
            f" directory {show_name(source.path)}; another one was announced."
            " Send the pack that belongs to the code reference."
        )


def _apply(changes: tuple[Change, ...], committed: Mapping[bytes, Leaf]) -> dict[bytes, Leaf]:
    leaves = dict(committed)
    for change in changes:
        before = committed.get(change.path)
        if change.mode is None:
            after = None
            leaves.pop(change.path, None)
        else:
            after = Leaf(mode=change.mode, content=change.content, object_id=None)
            leaves[change.path] = after
        if _is_same(before, after):
            raise SourceSuperfluous(
                f"The change of {show_name(change.path)} changes nothing."
                " Build the pack again from the repository."
            )
    return leaves


def _is_same(before: Leaf | None, after: Leaf | None) -> bool:
    if before is None or after is None:
        return before is after
    return before.mode is after.mode and before.content == after.content


def _check_places(leaves: Mapping[bytes, Leaf]) -> None:
    """Refuse a file where others need a directory, and too many directories.

    NUL, which no name has, sorts first: what is below a path comes right after it.
    """
    directories = 0
    previous: list[bytes] = []
    for path in sorted(path.replace(b"/", b"\0") for path in leaves):
        names = path.split(b"\0")
        shared = _count_shared(previous, names)
        if previous and shared == len(previous):
            raise SourceConflict(
                f"{show_name(b'/'.join(previous))} is a file and a directory at once."
                " Commit the change, then try again."
            )
        directories += len(names) - 1 - shared
        previous = names
    check_counts(files=len(leaves), directories=directories)


def _count_shared(one: list[bytes], other: list[bytes]) -> int:
    count = 0
    for mine, yours in zip(one, other, strict=False):
        if mine != yours:
            break
        count += 1
    return count


def _list_files(leaves: Mapping[bytes, Leaf]) -> tuple[SourceFile, ...]:
    if sum(len(leaf.content) for leaf in leaves.values()) > MAX_UNPACKED_BYTES:
        raise SourceTooLarge(
            f"The files have over {MAX_UNPACKED_BYTES} bytes together. Choose a smaller directory."
        )
    digests: dict[bytes, Digest] = {}
    files: list[SourceFile] = []
    for path, leaf in sorted(leaves.items(), key=lambda item: item[0]):
        if leaf.mode is EntryMode.SUBMODULE:
            continue
        if leaf.mode is EntryMode.SYMLINK:
            check_symlink(path, bytes(leaf.content[: MAX_PATH_BYTES + 1]))
        files.append(
            SourceFile(
                path=path.decode("utf-8"),
                mode=leaf.mode,
                sha256=_digest(leaf, digests),
                size=len(leaf.content),
            )
        )
    return tuple(files)


def _digest(leaf: Leaf, digests: dict[bytes, Digest]) -> Digest:
    """Each blob is hashed once, at however many paths it stands."""
    if leaf.object_id is None:
        return sha256(leaf.content)
    if leaf.object_id not in digests:
        digests[leaf.object_id] = sha256(leaf.content)
    return digests[leaf.object_id]


def _find_limitations(
    changes: tuple[Change, ...], leaves: Mapping[bytes, Leaf]
) -> Iterator[SourceLimitation]:
    code = SourceLimitationCode
    for change in changes:
        yield SourceLimitation(code=code.CHANGED_FILE, subject=change.path.decode("utf-8"))
    for path, leaf in leaves.items():
        if leaf.mode is EntryMode.SUBMODULE:
            yield SourceLimitation(code=code.SUBMODULE, subject=path.decode("utf-8"))
        elif leaf.mode is not EntryMode.SYMLINK and _is_lfs_pointer(leaf.content):
            yield SourceLimitation(code=code.LFS_POINTER, subject=path.decode("utf-8"))


def _summarise(limitations: Iterator[SourceLimitation]) -> tuple[SourceLimitation, ...]:
    found = sorted(limitations)
    named: list[SourceLimitation] = []
    for code, more in _MORE.items():
        ours = [limitation for limitation in found if limitation.code is code]
        named += ours[:MAX_LIMITATIONS_PER_CODE]
        if len(ours) > MAX_LIMITATIONS_PER_CODE:
            rest = str(len(ours) - MAX_LIMITATIONS_PER_CODE)
            named.append(SourceLimitation(code=more, subject=rest))
    return tuple(sorted(named))


def _is_lfs_pointer(content: memoryview) -> bool:
    return len(content) < _LFS_POINTER_BELOW and bytes(content).startswith(_LFS_HEADERS)


def _judge(changes: tuple[Change, ...], limitations: tuple[SourceLimitation, ...]) -> SourceState:
    if changes:
        return SourceState.UNCOMMITTED
    return SourceState.CLAIMED if limitations else SourceState.PROVED
