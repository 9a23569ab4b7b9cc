"""For tests of source packs: the vectors, a forger that obeys nobody, and real repositories.

The forger is a third writer of the format (docs/source-pack.md), apart from both implementations.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent.parent / "vectors" / "source-packs"
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "source-pack.md"

AUTHORSHIP = b"author A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nforged\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    name: str
    pack: bytes
    commit: str
    object_format: str
    path: str
    expect: dict[str, Any]  # Any: as decoded; the tests say what they look for


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgedEntry:
    """A tree entry as the forger wants it; `content` is a blob, a tree or a submodule's id."""

    mode: bytes
    name: bytes
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgedPack:
    pack: bytes
    commit: str


def load_vectors(prefix: str) -> list[Vector]:
    return [_load(file) for file in sorted(VECTORS.glob(f"{prefix}-*.json"))]


def find_vector(name: str) -> Vector:
    return _load(VECTORS / f"{name}.json")


def load_limits() -> dict[str, int]:
    limits: dict[str, int] = json.loads((VECTORS / "limits.json").read_text())
    return limits


def _load(file: Path) -> Vector:
    stored = json.loads(file.read_text())
    return Vector(
        name=file.stem,
        pack=base64.b64decode(stored["pack_base64"], validate=True),
        commit=stored["commit"],
        object_format=stored["object_format"],
        path=stored["path"],
        expect=stored["expect"],
    )


def forge_id(kind: bytes, content: bytes) -> bytes:
    return hashlib.sha1(b"%b %d\0%b" % (kind, len(content), content)).digest()


def forge_tree(entries: Iterable[ForgedEntry]) -> bytes:
    """A tree object of exactly these entries, in exactly this order."""
    return b"".join(
        b"%b %b\0%b" % (entry.mode, entry.name, _forge_entry_id(entry)) for entry in entries
    )


def _forge_entry_id(entry: ForgedEntry) -> bytes:
    if entry.mode == b"160000":
        return entry.content
    return forge_id(b"tree" if entry.mode == b"40000" else b"blob", entry.content)


def forge_pack(
    trees: list[bytes],
    *,
    blobs: Iterable[bytes] = (),
    changes: Iterable[tuple[bytes, bytes | None, bytes]] = (),
    path: bytes = b"",
) -> ForgedPack:
    """A SHA-1 pack whose root is `trees[0]`; every id in it is true, nothing else needs to be."""
    commit = b"tree %b\n%b" % (forge_id(b"tree", trees[0]).hex().encode(), AUTHORSHIP)
    commit_id = forge_id(b"commit", commit).hex()
    parts = [b"animus-source-pack 1 sha1 %b %d\n%b\n" % (commit_id.encode(), len(path), path)]
    parts.append(_forge_object(b"commit", commit))
    for kind, contents in ((b"tree", set(trees)), (b"blob", set(blobs))):
        by_id = {forge_id(kind, content): content for content in contents}
        parts += [_forge_object(kind, by_id[name]) for name in sorted(by_id)]
    parts += [_forge_change(*change) for change in sorted(changes, key=lambda change: change[0])]
    return ForgedPack(pack=b"".join([*parts, b"end\n"]), commit=commit_id)


def _forge_object(kind: bytes, content: bytes) -> bytes:
    name = forge_id(kind, content).hex().encode()
    return b"%b %d %b\n%b\n" % (kind, len(content), name, content)


def _forge_change(path: bytes, mode: bytes | None, content: bytes) -> bytes:
    if mode is None:
        return b"del %d\n%b\n" % (len(path), path)
    return b"put %b %d %d\n%b\n%b\n" % (mode, len(content), len(path), path, content)


class Repository:
    """A real git repository that tests may do anything to."""

    def __init__(self, root: Path, *, object_format: str = "sha1") -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.git("init", "--quiet", "--initial-branch=main", f"--object-format={object_format}")

    def git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Standard output of a git command; the author and the time are always the same."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("GIT_")
        }
        person = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (
                ("NAME", "Ada"),
                ("EMAIL", "ada@example.org"),
                ("DATE", "1700000000 +0100"),
            )
        }
        isolated = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        return subprocess.run(
            ["git", "-c", "maintenance.auto=false", *arguments],
            cwd=self.root,
            env=inherited | person | isolated,
            input=stdin,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout

    def write(self, path: str, content: str | bytes = b"", *, mode: int = 0o644) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)
        return file

    def link(self, path: str, target: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(target)

    def commit(self) -> str:
        """Commit everything there is; the commit's id."""
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message=Change the code")
        return self.head()

    def head(self) -> str:
        return self.git("rev-parse", "HEAD").decode("ascii").strip()

    def files_at(self, commit: str) -> dict[bytes, tuple[str, bytes]]:
        """Mode and bytes of each file and link of a commit, as git itself tells them."""
        listing = self.git("ls-tree", "-r", "-z", "--full-tree", commit)
        files: dict[bytes, tuple[str, bytes]] = {}
        for line in filter(None, listing.split(b"\0")):
            meta, _, path = line.partition(b"\t")
            mode, kind, name = meta.decode("ascii").split(" ")
            if kind == "blob":
                files[path] = (mode, self.git("cat-file", "blob", name))
        return files
