"""What verification reads in git's commit and tree objects."""

from __future__ import annotations

from dataclasses import dataclass

from animus_sdk._source_format import ID_DIGITS, MAX_NAME_BYTES, SourceRefused, malformed

FILE, EXECUTABLE, SYMLINK, SUBMODULE, DIRECTORY = "100644", "100755", "120000", "160000", "40000"
_MODES = {mode.encode("ascii"): mode for mode in (FILE, EXECUTABLE, SYMLINK, SUBMODULE, DIRECTORY)}
_MODES[b"100664"] = FILE  # in histories of 2005


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeItem:
    mode: str
    name: bytes
    object_id: bytes


def read_root_tree(commit: bytes, *, object_format: str) -> bytes:
    """The id of the tree that a commit object names first."""
    lines = commit.partition(b"\n\n")[0].split(b"\n")
    digits = ID_DIGITS[object_format]
    named = [lines[0].removeprefix(b"tree ")]
    rest = lines[1:]
    while rest and rest[0].startswith(b"parent "):
        named.append(rest.pop(0).removeprefix(b"parent "))
    is_signed_off = (
        len(rest) >= 2
        and len(rest[0]) > len(b"author ")
        and rest[0].startswith(b"author ")
        and len(rest[1]) > len(b"committer ")
        and rest[1].startswith(b"committer ")
    )
    ids_hold = all(len(i) == digits and not i.strip(b"0123456789abcdef") for i in named)
    has_nul = any(b"\0" in line for line in lines)
    if not lines[0].startswith(b"tree ") or not ids_hold or not is_signed_off or has_nul:
        raise malformed("its commit object is not one that git writes")
    return bytes.fromhex(named[0].decode("ascii"))


def read_tree(tree: bytes, *, object_format: str) -> list[TreeItem]:
    """The items of a tree object: well-formed, sorted as git does, each name once."""
    id_size = ID_DIGITS[object_format] // 2
    items: list[TreeItem] = []
    at = 0
    while at < len(tree):
        nul = tree.find(b"\0", at, at + MAX_NAME_BYTES + 9)
        mode, space, name = tree[at : max(nul, at)].partition(b" ")
        after = nul + 1 + id_size
        if nul < 0 or not space or mode not in _MODES or after > len(tree):
            raise malformed("a tree has an entry that git does not write")
        if not name or b"/" in name or len(name) > MAX_NAME_BYTES:
            raise malformed("a tree has a name that is empty, too long or a path")
        items.append(TreeItem(mode=_MODES[mode], name=name, object_id=tree[nul + 1 : after]))
        at = after
    if len({item.name for item in items}) != len(items):
        raise SourceRefused("source_conflict", "A tree has one name twice. Run git fsck.")
    if sorted(items, key=_git_order) != items:
        raise malformed("a tree is not sorted as git sorts")
    return items


def _git_order(item: TreeItem) -> bytes:
    return item.name + b"/" if item.mode == DIRECTORY else item.name
