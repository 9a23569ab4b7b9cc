"""Builds a source pack from a working directory: git's own objects, and in development also what
is not committed yet."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from animus_sdk._source_format import (
    END_LINE,
    MAX_COMMIT_BYTES,
    MAX_FILE_BYTES,
    MAX_PACK_BYTES,
    MAX_TREE_BYTES,
    Header,
    Record,
    SourceRefused,
    header_line,
    object_id,
    quote,
    record_line,
)
from animus_sdk._source_git import Git, GitError, ObjectReader, strip_credentials
from animus_sdk._source_names import check_last_name
from animus_sdk._source_trees import (
    DIRECTORY,
    EXECUTABLE,
    FILE,
    SUBMODULE,
    SYMLINK,
    TreeItem,
    read_root_tree,
    read_tree,
)
from animus_sdk._source_verify import (
    SourceLimitation,
    SourceState,
    check_counts,
    step_down,
    verify,
)
from animus_sdk._source_worktree import WorkingFile, list_changes


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePack:
    """A pack, verified after it was built, and what is known of where it came from."""

    content: bytes = field(repr=False)
    pack_sha256: str
    commit: str
    object_format: str
    path: str
    state: SourceState
    limitations: tuple[SourceLimitation, ...]
    repo_url: str | None
    """The remote `origin`, without credentials."""
    changed_paths: tuple[str, ...]
    """What differs from the commit below the directory, as git sees it; packed only on demand."""
    left_out: tuple[str, ...]
    """Repositories inside the working tree that are no submodules: never in a pack."""
    untracked_left_out: tuple[str, ...]
    """Untracked files that the caller did not want; no part of `changed_paths`."""

    @property
    def size(self) -> int:
        return len(self.content)

    @property
    def is_dirty(self) -> bool:
        return bool(self.changed_paths)


def _nothing(path: bytes) -> bool:
    return False


def build_source_pack(
    directory: Path | str = ".",
    *,
    commit: str | None = None,
    include_changes: bool = False,
    leave_out: Callable[[bytes], bool] = _nothing,
) -> SourcePack:
    """Pack `directory` as it is in `commit` (HEAD by default).

    With `include_changes`, what differs in the working tree is packed beside it (development
    only: the state becomes `uncommitted`); untracked files count unless git ignores them, or
    `leave_out` says so of their path below `directory`: a commit has none of them in any case.
    Reads only; raises `GitError` or `SourceRefused`, each of which says what to do.
    """
    chosen = Path(directory).resolve()
    git = Git(chosen)
    header = _locate(git, chosen, commit=commit)
    is_head = header.commit == git.find_commit("HEAD")
    if include_changes and not is_head:
        raise GitError(
            "The changes of the working tree belong to HEAD, another commit was asked for."
            " Leave out one of the two."
        )
    status = list_changes(git, header=header) if is_head else None
    changed, unwanted = _sorted_out(status.files if status is not None else (), leave_out)
    with git.open_objects() as objects:
        source = _read_committed(objects, header)
        packed = changed if include_changes else ()
        changes = _read_changes(packed, root=chosen, source=source)
        content = _write(objects, source, changes)
    verified = verify(content, commit=header.commit)
    return SourcePack(
        content=content,
        pack_sha256=verified.pack_sha256,
        commit=verified.commit,
        object_format=verified.object_format,
        path=verified.path,
        state=verified.state,
        limitations=verified.limitations,
        repo_url=strip_credentials(git.find_setting("remote.origin.url") or ""),
        changed_paths=tuple(_shown(file.path) for file in changed),
        left_out=tuple(map(_shown, status.nested_repositories)) if status else (),
        untracked_left_out=tuple(_shown(file.path) for file in unwanted),
    )


def _sorted_out(
    files: Iterable[WorkingFile], leave_out: Callable[[bytes], bool]
) -> tuple[list[WorkingFile], list[WorkingFile]]:
    """What counts, and what is untracked and unwanted."""
    counts: list[WorkingFile] = []
    unwanted: list[WorkingFile] = []
    for file in files:
        is_unwanted = file.mode is None and leave_out(file.path)
        (unwanted if is_unwanted else counts).append(file)
    return counts, unwanted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Committed:
    """What the commit has: the trees read, the blobs still to be read, the leaves by path."""

    header: Header
    commit: bytes
    trees: dict[bytes, bytes]
    leaves: dict[bytes, TreeItem]


def _locate(git: Git, chosen: Path, *, commit: str | None) -> Header:
    top = git.ask_line("rev-parse", "--show-toplevel")
    prefix = git.ask_line("rev-parse", "--show-prefix").removesuffix("/")
    if Path(top, prefix).resolve() != chosen:
        raise GitError(
            f"Git takes {top!a} for the working tree of {str(chosen)!a}. Check core.worktree"
            " (git config --show-origin core.worktree)."
        )
    return Header(
        object_format=git.ask_line("rev-parse", "--show-object-format"),
        commit=_resolve(git, commit),
        path=os.fsencode(prefix),
    )


def _resolve(git: Git, commit: str | None) -> str:
    found = git.find_commit("HEAD" if commit is None else commit)
    if found is not None:
        return found
    if commit is None:
        advice = "This repository has no commit yet. Commit your code first (git add, git commit)."
    else:
        advice = f"The commit {commit!a} is not in this clone. Fetch it, and give its full id."
    raise GitError(advice, code="no_commit")


def _read_committed(objects: ObjectReader, header: Header) -> _Committed:
    commit = objects.read(bytes.fromhex(header.commit), kind="commit", limit=MAX_COMMIT_BYTES)
    reader = _TreeReader(objects, header.object_format)
    tree = read_root_tree(commit, object_format=header.object_format)
    for name in header.path.split(b"/") if header.path else ():
        tree = step_down(reader.read(tree), name, header=header)
    return _Committed(
        header=header, commit=commit, leaves=_expand(reader, tree), trees=reader.contents
    )


class _TreeReader:
    """Trees from the object store, each read once."""

    def __init__(self, objects: ObjectReader, object_format: str) -> None:
        self._objects = objects
        self._object_format = object_format
        self._items: dict[bytes, list[TreeItem]] = {}
        self.contents: dict[bytes, bytes] = {}

    def read(self, tree_id: bytes) -> list[TreeItem]:
        if tree_id not in self._items:
            content = self._objects.read(tree_id, kind="tree", limit=MAX_TREE_BYTES)
            self.contents[tree_id] = content
            self._items[tree_id] = read_tree(content, object_format=self._object_format)
        return self._items[tree_id]


def _expand(reader: _TreeReader, root: bytes) -> dict[bytes, TreeItem]:
    leaves: dict[bytes, TreeItem] = {}
    waiting = [(b"", root)]
    directories = 0
    while waiting:
        prefix, tree_id = waiting.pop()
        for item in reader.read(tree_id):
            path = prefix + item.name
            check_last_name(path)
            if item.mode == DIRECTORY:
                directories += 1
                waiting.append((path + b"/", item.object_id))
            else:
                leaves[path] = item
            check_counts(files=len(leaves), directories=directories)
    return leaves


def _read_changes(
    files: Iterable[WorkingFile], *, root: Path, source: _Committed
) -> Iterator[Record]:
    for file in sorted(files, key=lambda file: file.path):
        change = _read_change(file, root=root, source=source)
        if change is not None:
            yield change


def _read_change(file: WorkingFile, *, root: Path, source: _Committed) -> Record | None:
    """What to pack for a path that git calls changed; None if it is as in the commit after all."""
    before = source.leaves.get(file.path)
    found = None
    if not _is_behind_link(os.fsencode(root), file.path):
        found = _read_working_file(os.path.join(os.fsencode(root), file.path), mode=file.mode)
    if found is None:
        gone = Record(kind="change", name=file.path, mode=None, content=memoryview(b""))
        return gone if before is not None else None
    mode, content = found
    blob = object_id("blob", content, object_format=source.header.object_format)
    if before is not None and (before.mode, before.object_id) == (mode, blob):
        return None
    return Record(kind="change", name=file.path, mode=mode, content=memoryview(content))


def _is_behind_link(root: bytes, path: bytes) -> bool:
    """Whether a directory on the way is a link now: what it leads to is no part of the tree."""
    names = path.split(b"/")[:-1]
    above = (os.path.join(root, *names[:depth]) for depth in range(1, len(names) + 1))
    return any(os.path.islink(directory) for directory in above)


def _read_working_file(path: bytes, *, mode: str | None) -> tuple[str, bytes] | None:
    try:
        seen = os.lstat(path)
        if stat.S_ISLNK(seen.st_mode):
            return SYMLINK, os.readlink(path)
        if not stat.S_ISREG(seen.st_mode):
            return None
        if seen.st_size > MAX_FILE_BYTES:
            raise SourceRefused(
                "source_too_large",
                f"The changed file {quote(path)} has {seen.st_size} bytes; {MAX_FILE_BYTES} are"
                " allowed. Let git ignore it, or register it as a dataset.",
            )
        with open(path, "rb", opener=_open_without_following) as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if mode not in (FILE, EXECUTABLE):
        mode = EXECUTABLE if seen.st_mode & stat.S_IXUSR else FILE
    return mode, content


def _open_without_following(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _write(objects: ObjectReader, source: _Committed, changes: Iterable[Record]) -> bytes:
    output = _Output(header_line(source.header))
    output.write_record("commit", bytes.fromhex(source.header.commit), content=source.commit)
    for tree_id in sorted(source.trees):
        output.write_record("tree", tree_id, content=source.trees[tree_id])
    for blob_id in sorted(_blob_ids(source.leaves)):
        content = objects.read(blob_id, kind="blob", limit=MAX_FILE_BYTES)
        output.write_record("blob", blob_id, content=content)
    for change in changes:
        output.write(change)
    return output.finish()


def _blob_ids(leaves: Mapping[bytes, TreeItem]) -> set[bytes]:
    return {item.object_id for item in leaves.values() if item.mode != SUBMODULE}


class _Output:
    """A pack being written, which stops at the limit."""

    def __init__(self, start: bytes) -> None:
        self._buffer = BytesIO()
        self._buffer.write(start)

    def write_record(self, kind: str, name: bytes, *, content: bytes) -> None:
        self.write(Record(kind=kind, name=name, mode=None, content=memoryview(content)))

    def write(self, record: Record) -> None:
        self._buffer.write(record_line(record))
        if record.kind != "change" or record.mode is not None:
            self._buffer.write(record.content)
            self._buffer.write(b"\n")
        if self._buffer.tell() > MAX_PACK_BYTES:
            raise SourceRefused(
                "source_too_large",
                f"The source has over {MAX_PACK_BYTES} bytes. Choose a smaller directory, let git"
                " ignore what is not code, or register large files as a dataset.",
            )

    def finish(self) -> bytes:
        self._buffer.write(END_LINE)
        return self._buffer.getvalue()


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
