"""The server's verdict over source packs, and that the SDK's own verifier agrees with it."""

from __future__ import annotations

import pytest
from animus_sdk import _source_format as sdk_format
from animus_sdk import source as sdk
from hypothesis import given, settings
from hypothesis import strategies as st

from animus.domain.digests import format_digest
from animus.domain.sources import errors, limits, packs
from animus.domain.sources.errors import SourceRefused
from animus.domain.sources.objects import EntryMode, ObjectFormat
from animus.domain.sources.proofs import (
    SourceLimitationCode,
    SourceProof,
    SourceState,
    verify_source_pack,
)
from tests.support.source_packs import (
    AUTHORSHIP,
    DOCUMENT,
    ForgedEntry,
    Vector,
    find_vector,
    forge_id,
    forge_pack,
    forge_tree,
    load_limits,
    load_vectors,
)

ACCEPTED = load_vectors("accepted")
REFUSED = load_vectors("refused")


def verify(vector: Vector, pack: bytes | None = None) -> SourceProof:
    return verify_source_pack(
        vector.pack if pack is None else pack,
        commit=vector.commit,
        object_format=ObjectFormat(vector.object_format),
        path=vector.path,
    )


def find_refusal(pack: bytes, *, commit: str, path: str = "") -> str | None:
    """The code of the server's refusal of a SHA-1 pack; the SDK must give the same."""
    server = _ask_server(pack, commit=commit, path=path)
    client = _ask_sdk(pack, commit=commit, path=path)
    assert server == client
    return server


def _ask_server(pack: bytes, *, commit: str, path: str) -> str | None:
    try:
        verify_source_pack(pack, commit=commit, object_format=ObjectFormat.SHA1, path=path)
    except SourceRefused as refusal:
        return refusal.code
    return None


def _ask_sdk(pack: bytes, *, commit: str, path: str) -> str | None:
    try:
        sdk.verify(pack, commit=commit, object_format="sha1", path=path)
    except sdk.SourceRefused as refusal:
        return refusal.code
    return None


def file_entry(name: bytes, content: bytes = b"x") -> ForgedEntry:
    return ForgedEntry(mode=b"100644", name=name, content=content)


def directory_entry(name: bytes, tree: bytes) -> ForgedEntry:
    return ForgedEntry(mode=b"40000", name=name, content=tree)


@pytest.mark.parametrize("vector", ACCEPTED, ids=lambda vector: vector.name)
def test_an_accepted_vector_gives_the_files_that_git_says_it_has(vector: Vector) -> None:
    proof = verify(vector)
    files = [
        {"path": f.path, "mode": f.mode, "size": f.size, "sha256": format_digest(f.sha256)}
        for f in proof.files
    ]
    assert files == vector.expect["files"]
    assert proof.state == vector.expect["state"]
    assert [[what.code, what.subject] for what in proof.limitations] == vector.expect["limitations"]
    assert format_digest(proof.pack_sha256) == vector.expect["pack_sha256"]
    assert proof.total_bytes == sum(file["size"] for file in vector.expect["files"])
    assert proof.pack_size == len(vector.pack)


@pytest.mark.parametrize("vector", REFUSED, ids=lambda vector: vector.name)
def test_a_refused_vector_is_refused_with_its_code_and_says_what_is_wrong(vector: Vector) -> None:
    with pytest.raises(SourceRefused) as refusal:
        verify(vector)
    assert refusal.value.code == vector.expect["code"]
    assert refusal.value.message.endswith(".")
    assert refusal.value.message.isprintable()
    assert len(refusal.value.message) < 1000


def test_the_vectors_use_every_refusal_and_every_state() -> None:
    codes = {vector.expect["code"] for vector in REFUSED}
    assert codes == {refusal.code for refusal in errors.SourceRefused.__subclasses__()}
    assert {vector.expect["state"] for vector in ACCEPTED} == set(SourceState)
    assert {vector.object_format for vector in ACCEPTED} == set(ObjectFormat)


def test_the_limits_are_the_published_ones_in_both_implementations() -> None:
    published = load_limits()
    for module in (limits, sdk_format):
        stated = {name: value for name, value in vars(module).items() if name.startswith("MAX_")}
        assert stated == published
    assert packs.MEDIA_TYPE == sdk.MEDIA_TYPE


def test_the_document_names_every_limit_limitation_and_refusal() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    names = {
        *load_limits(),
        *SourceState,
        *SourceLimitationCode,
        *(refusal.code for refusal in errors.SourceRefused.__subclasses__()),
    }
    assert {name for name in names if f"`{name}`" not in document} == set()
    assert packs.MEDIA_TYPE in document


@pytest.mark.parametrize("name", ["accepted-encoding", "accepted-signed-sha256"])
def test_every_flipped_bit_of_a_pack_is_refused(name: str) -> None:
    vector = find_vector(name)
    for position in range(len(vector.pack)):
        for bit in range(8):
            broken = bytearray(vector.pack)
            broken[position] ^= 1 << bit
            with pytest.raises(SourceRefused):
                verify(vector, bytes(broken))
            with pytest.raises(sdk.SourceRefused):
                sdk.verify(bytes(broken), commit=vector.commit, path=vector.path)


def test_every_flipped_bit_of_uncommitted_changes_is_refused_or_shows_in_the_digest() -> None:
    vector = find_vector("accepted-dirty-kinds")
    for position in range(len(vector.pack)):
        for bit in range(8):
            broken = bytearray(vector.pack)
            broken[position] ^= 1 << bit
            try:
                proof = verify(vector, bytes(broken))
            except SourceRefused:
                continue
            assert proof.state is SourceState.UNCOMMITTED
            assert format_digest(proof.pack_sha256) != vector.expect["pack_sha256"]


@pytest.mark.parametrize("name", ["accepted-plain-sha1", "accepted-dirty-sha256"])
def test_every_truncation_of_a_pack_is_refused(name: str) -> None:
    vector = find_vector(name)
    for length in range(len(vector.pack)):
        with pytest.raises(SourceRefused):
            verify(vector, vector.pack[:length])
        with pytest.raises(sdk.SourceRefused):
            sdk.verify(vector.pack[:length], commit=vector.commit, path=vector.path)


def test_a_view_of_the_bytes_is_as_good_as_the_bytes() -> None:
    vector = find_vector("accepted-plain-sha1")
    proof = verify_source_pack(
        memoryview(vector.pack), commit=vector.commit, object_format=ObjectFormat.SHA1, path=""
    )
    assert proof == verify(vector)


@pytest.mark.parametrize("path", ["pkg", "\udcff", "\0", "../x"])
def test_a_pack_of_another_directory_is_refused_whatever_was_asked_for(path: str) -> None:
    vector = find_vector("accepted-plain-sha1")
    assert find_refusal(vector.pack, commit=vector.commit, path=path) == "source_mismatch"


@pytest.mark.parametrize("commit", ["", "HEAD", "é", "0" * 40])
def test_a_pack_of_another_commit_is_refused_whatever_was_asked_for(commit: str) -> None:
    vector = find_vector("accepted-plain-sha1")
    assert find_refusal(vector.pack, commit=commit) == "source_mismatch"


def spread(count: int) -> list[bytes]:
    """Trees, the root first, of directories of 200 files each and one of what is left."""
    full, rest = divmod(count, 200)
    tree_of_200 = forge_tree([file_entry(b"f%03d" % number) for number in range(200)])
    tree_of_rest = forge_tree([file_entry(b"f%03d" % number) for number in range(rest)])
    entries = [directory_entry(b"d%04d" % number, tree_of_200) for number in range(full)]
    root = forge_tree([*entries, directory_entry(b"rest", tree_of_rest)])
    return [root, tree_of_200, tree_of_rest]


def test_as_many_files_as_allowed_are_accepted_and_one_more_is_not() -> None:
    for count, verdict in ((limits.MAX_FILES, None), (limits.MAX_FILES + 1, "source_too_large")):
        forged = forge_pack(spread(count), blobs=[b"x"])
        assert find_refusal(forged.pack, commit=forged.commit) == verdict


def test_one_added_file_too_many_is_refused() -> None:
    changes = [(b"new", b"100644", b"n")]
    forged = forge_pack(spread(limits.MAX_FILES), blobs=[b"x"], changes=changes)
    assert find_refusal(forged.pack, commit=forged.commit) == "source_too_large"


def test_directories_that_only_changes_need_are_counted_too() -> None:
    depth = 60
    most = limits.MAX_DIRECTORIES // depth
    for count, verdict in ((most, None), (most + 1, "source_too_large")):
        changes = [
            (b"%d/%bf" % (number, b"d/" * (depth - 1)), b"100644", b"") for number in range(count)
        ]
        forged = forge_pack([b""], changes=changes)
        assert find_refusal(forged.pack, commit=forged.commit) == verdict


def test_too_many_changes_are_refused() -> None:
    changes = [(b"%05d" % number, b"100644", b"") for number in range(limits.MAX_FILES + 1)]
    forged = forge_pack([b""], changes=changes)
    assert find_refusal(forged.pack, commit=forged.commit) == "source_too_large"


def test_an_oversized_file_is_refused() -> None:
    content = bytes(limits.MAX_FILE_BYTES + 1)
    committed = forge_pack([forge_tree([file_entry(b"f", content)])], blobs=[content])
    assert find_refusal(committed.pack, commit=committed.commit) == "source_too_large"
    changed = forge_pack([b""], changes=[(b"f", b"100644", content)])
    assert find_refusal(changed.pack, commit=changed.commit) == "source_too_large"


def test_an_oversized_pack_is_refused() -> None:
    thirds = [bytes([number]) * (limits.MAX_PACK_BYTES // 3) for number in range(3)]
    entries = [file_entry(b"%d" % number, third) for number, third in enumerate(thirds)]
    forged = forge_pack([forge_tree(entries)], blobs=thirds)
    assert find_refusal(forged.pack, commit=forged.commit) == "source_too_large"


def test_an_oversized_tree_is_refused() -> None:
    wide = forge_tree([file_entry(b"%0250d" % number) for number in range(16_000)])
    assert len(wide) > limits.MAX_TREE_BYTES
    forged = forge_pack([wide], blobs=[b"x"])
    assert find_refusal(forged.pack, commit=forged.commit) == "source_too_large"


def test_trees_with_too_many_entries_together_are_refused() -> None:
    share = limits.MAX_TREE_ENTRIES // 3 + 1
    tree = b""
    trees = [tree]
    for letter in b"abc":
        files = [file_entry(b"%c%06d" % (letter, number)) for number in range(share)]
        tree = forge_tree([*files, directory_entry(b"d", tree)])
        trees.insert(0, tree)
    forged = forge_pack(trees, path=b"d/d/d")
    assert find_refusal(forged.pack, commit=forged.commit, path="d/d/d") == "source_too_large"


def test_too_many_objects_are_refused_before_they_are_looked_at() -> None:
    forged = forge_pack([b""], blobs=[b"%d" % number for number in range(limits.MAX_OBJECTS)])
    assert find_refusal(forged.pack, commit=forged.commit) == "source_too_large"


def test_an_oversized_commit_object_is_refused() -> None:
    commit = b"tree %b\n%b" % (forge_id(b"tree", b"").hex().encode(), AUTHORSHIP)
    commit += b"m" * limits.MAX_COMMIT_BYTES
    name = forge_id(b"commit", commit).hex()
    pack = b"animus-source-pack 1 sha1 %b 0\n\ncommit %d %b\n%b\ntree 0 %b\n\nend\n" % (
        name.encode(),
        len(commit),
        name.encode(),
        commit,
        forge_id(b"tree", b"").hex().encode(),
    )
    assert find_refusal(pack, commit=name) == "source_too_large"


PLAIN = (b"a", b"b", b"a.b", b"a-b", b"a0", b".gitx", b"git~12", b"x:y", b"\n", "é".encode())
HOSTILE = (b"", b".", b"..", b".git", b".GIT ", b"git~1", b".git:x", b"a/b", b"\\", b"a\\b")
STRANGE = tuple(name.encode() for name in (".g\u200cit", ".g\u0130t", ".g\u0131t", "n" * 255))
NAMES = st.sampled_from((*PLAIN, *PLAIN, *HOSTILE, *STRANGE, b"\xff"))
STEPS = st.sampled_from([b"..", b".", b"", b"a", b"b", b"a.b", b"...", b"a\\b", b"x\0y"])
TARGETS = st.lists(STEPS, max_size=5).map(b"/".join)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
CONTENTS = st.sampled_from([b"", b"x", b"..", LFS, LFS + b"x" * 1024])
CHANGES = st.lists(
    st.one_of(
        st.tuples(PATHS, st.sampled_from([b"100644", b"100755"]), CONTENTS),
        st.tuples(PATHS, st.just(b"120000"), TARGETS),
        st.tuples(PATHS, st.none(), st.just(b"")),
    ),
    max_size=3,
)


@st.composite
def forged_directories(draw: st.DrawFn, depth: int = 0) -> tuple[bytes, list[bytes], list[bytes]]:
    """A tree with hostile names and links, the trees and the blobs it needs."""
    entries: list[ForgedEntry] = []
    trees: list[bytes] = []
    blobs: list[bytes] = []
    for name in draw(st.lists(NAMES, max_size=4)):
        kind = draw(st.sampled_from("ffxxlldddsu" if depth < 3 else "fxl"))
        if kind == "d":
            below, more_trees, more_blobs = draw(forged_directories(depth=depth + 1))
            entries.append(directory_entry(name, below))
            trees += more_trees
            blobs += more_blobs
        elif kind == "s":
            entries.append(ForgedEntry(mode=b"160000", name=name, content=b"\1" * 20))
        else:
            content = draw(TARGETS if kind == "l" else CONTENTS)
            mode = {"f": b"100644", "x": b"100755", "l": b"120000", "u": b"100664"}[kind]
            entries.append(ForgedEntry(mode=mode, name=name, content=content))
            blobs.append(content)
    if draw(st.integers(0, 9)):
        entries.sort(key=lambda e: e.name + b"/" if e.mode == b"40000" else e.name)
    tree = forge_tree(entries)
    return tree, [tree, *trees], blobs


@settings(max_examples=600, deadline=None)
@given(directory=forged_directories(), changes=CHANGES, leave_out=st.integers(0, 30))
def test_both_implementations_agree_on_forged_packs(
    directory: tuple[bytes, list[bytes], list[bytes]],
    changes: list[tuple[bytes, bytes | None, bytes]],
    leave_out: int,
) -> None:
    _, trees, blobs = directory
    kept = [blob for number, blob in enumerate(blobs) if number != leave_out]
    forged = forge_pack(trees, blobs=kept, changes=changes)
    try:
        proof = verify_source_pack(
            forged.pack, commit=forged.commit, object_format=ObjectFormat.SHA1, path=""
        )
    except SourceRefused:
        with pytest.raises(sdk.SourceRefused):
            sdk.verify(forged.pack, commit=forged.commit)
        return
    assert_same(proof, sdk.verify(forged.pack, commit=forged.commit))


@settings(max_examples=300, deadline=None)
@given(
    vector=st.sampled_from(ACCEPTED),
    start=st.integers(min_value=0, max_value=4000),
    length=st.integers(min_value=0, max_value=40),
    replacement=st.binary(max_size=8)
    | st.sampled_from([b"\n", b"end\n", b"0", b" ", b"del 1\na\n"]),
)
def test_both_implementations_agree_on_spliced_packs(
    vector: Vector, start: int, length: int, replacement: bytes
) -> None:
    start = min(start, len(vector.pack))
    spliced = vector.pack[:start] + replacement + vector.pack[start + length :]
    try:
        proof = verify(vector, spliced)
    except SourceRefused:
        with pytest.raises(sdk.SourceRefused):
            sdk.verify(
                spliced,
                commit=vector.commit,
                object_format=vector.object_format,
                path=vector.path,
            )
        return
    assert_same(proof, sdk.verify(spliced, commit=vector.commit, path=vector.path))


def assert_same(proof: SourceProof, verified: sdk.VerifiedSource) -> None:
    assert proof.state == verified.state
    assert format_digest(proof.pack_sha256) == verified.pack_sha256
    assert [(what.code.value, what.subject) for what in proof.limitations] == [
        (what.code, what.subject) for what in verified.limitations
    ]
    assert [(f.path.encode(), f.mode.value, format_digest(f.sha256)) for f in proof.files] == [
        (entry.path, entry.mode, entry.sha256)
        for entry in verified.entries
        if entry.mode != EntryMode.SUBMODULE
    ]
