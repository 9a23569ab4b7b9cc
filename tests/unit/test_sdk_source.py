"""The SDK packs source from real git repositories and unpacks it, whatever is in them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from animus_sdk import source as sdk
from animus_sdk._source_git import strip_credentials
from animus_sdk.source import GitError, SourcePack, SourceRefused, build_source_pack, unpack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from animus.domain.sources.objects import ObjectFormat
from animus.domain.sources.proofs import SourceProof, SourceState, verify_source_pack
from tests.support.source_packs import Repository, Vector, find_vector, load_vectors

ACCEPTED = load_vectors("accepted")
REFUSED = load_vectors("refused")
FORMATS = ["sha1", "sha256"]

Snapshot = dict[bytes, tuple[str, bytes]]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture(autouse=True)
def without_the_users_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


def prove(pack: SourcePack) -> SourceProof:
    return verify_source_pack(
        pack.content,
        commit=pack.commit,
        object_format=ObjectFormat(pack.object_format),
        path=pack.path,
    )


def take_snapshot(root: Path) -> Snapshot:
    """Mode and bytes of each file and link below a directory; git's own directory apart."""
    found: Snapshot = {}
    for directory, subdirectories, files in os.walk(os.fsencode(root)):
        subdirectories[:] = [name for name in subdirectories if name != b".git"]
        links = [name for name in subdirectories if os.path.islink(os.path.join(directory, name))]
        for name in [*files, *links]:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, os.fsencode(root))] = _look_at(path)
    return found


def _look_at(path: bytes) -> tuple[str, bytes]:
    seen = os.lstat(path)
    if stat.S_ISLNK(seen.st_mode):
        return "120000", os.readlink(path)
    content = Path(os.fsdecode(path)).read_bytes()
    return "100755" if seen.st_mode & stat.S_IXUSR else "100644", content


def unpack_to(directory: Path, pack: SourcePack) -> Snapshot:
    unpack(pack.content, directory, expected_sha256=pack.pack_sha256)
    return take_snapshot(directory)


# What a pack holds


@pytest.mark.parametrize("object_format", FORMATS)
def test_a_clean_working_tree_is_proved_and_comes_out_as_it_went_in(
    tmp_path: Path, object_format: str
) -> None:
    repository = Repository(tmp_path / "repository", object_format=object_format)
    repository.write("train.py", "print(1)\n")
    repository.write("bin/run", "#!/bin/sh\n", mode=0o755)
    repository.link("bin/python", "../train.py")
    commit = repository.commit()

    pack = build_source_pack(repository.root)

    assert (pack.commit, pack.object_format, pack.path) == (commit, object_format, "")
    assert (pack.state, pack.is_dirty, pack.limitations) == ("proved", False, ())
    assert prove(pack).state is SourceState.PROVED
    assert unpack_to(tmp_path / "out", pack) == repository.files_at(commit)


def test_the_same_commit_gives_the_same_pack_in_every_clone(
    repository: Repository, tmp_path: Path
) -> None:
    repository.write("a/b", "1")
    repository.commit()
    repository.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    repository.git("gc", "--quiet")
    here, there = build_source_pack(repository.root), build_source_pack(tmp_path / "clone")
    assert here.content == there.content


def test_the_current_directory_is_the_default_and_its_siblings_stay_outside(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("models/größe eins/train.py", "1")
    repository.write("secret.txt", "not for the run")
    repository.commit()
    monkeypatch.chdir(repository.root / "models" / "größe eins")
    pack = build_source_pack()
    assert pack.path == "models/größe eins"
    assert prove(pack).path == pack.path
    assert b"not for the run" not in pack.content
    assert set(unpack_to(tmp_path / "out", pack)) == {b"train.py"}


def test_bytes_are_the_object_stores_whatever_attributes_say(
    repository: Repository, tmp_path: Path
) -> None:
    repository.write(".gitattributes", "hidden export-ignore\nid export-subst\n*.txt eol=crlf\n")
    repository.write("hidden", "h")
    repository.write("id", "$Format:%H$\n")
    repository.write("lines.txt", "one\ntwo\n")
    commit = repository.commit()
    (repository.root / "lines.txt").unlink()
    repository.git("checkout", "--", "lines.txt")
    assert (repository.root / "lines.txt").read_bytes() == b"one\r\ntwo\r\n"

    pack = build_source_pack(repository.root, include_changes=True)

    assert (pack.state, pack.changed_paths) == ("proved", ())
    assert unpack_to(tmp_path / "out", pack) == repository.files_at(commit)


def test_a_chosen_commit_is_packed_as_it_was(repository: Repository, tmp_path: Path) -> None:
    repository.write("f", "old")
    first = repository.commit()
    repository.git("tag", "v1")
    repository.write("f", "new")
    repository.commit()
    repository.write("f", "newer")
    for name in (first, "v1"):
        pack = build_source_pack(repository.root, commit=name)
        assert (pack.commit, pack.state, pack.changed_paths) == (first, "proved", ())
        assert unpack_to(tmp_path / name, pack) == {b"f": ("100644", b"old")}


def test_a_replaced_object_is_packed_as_the_commit_has_it(
    repository: Repository, tmp_path: Path
) -> None:
    repository.write("f", "true")
    commit = repository.commit()
    blob = repository.git("hash-object", "-w", "--stdin", stdin=b"replaced").decode().strip()
    repository.git("replace", f"{commit}:f", blob)
    pack = build_source_pack(repository.root, commit=commit)
    assert unpack_to(tmp_path / "out", pack) == {b"f": ("100644", b"true")}


def test_a_shallow_clone_and_a_second_working_tree_are_enough(
    repository: Repository, tmp_path: Path
) -> None:
    repository.write("f", "1")
    repository.commit()
    repository.write("f", "2")
    commit = repository.commit()
    origin = repository.root.as_uri()
    repository.git("clone", "--quiet", "--depth=1", origin, str(tmp_path / "shallow"))
    repository.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "second"))
    for root in (tmp_path / "shallow", tmp_path / "second"):
        pack = build_source_pack(root)
        assert (pack.commit, prove(pack).state) == (commit, SourceState.PROVED)


# Changes in the working tree


def test_changes_are_reported_but_left_out_unless_asked_for(
    repository: Repository, tmp_path: Path
) -> None:
    repository.write("f", "committed")
    commit = repository.commit()
    repository.write("f", "changed")
    repository.write("untracked", "u")
    pack = build_source_pack(repository.root)
    assert (pack.state, pack.is_dirty) == ("proved", True)
    assert set(pack.changed_paths) == {"f", "untracked"}
    assert unpack_to(tmp_path / "out", pack) == repository.files_at(commit)


@pytest.mark.parametrize("object_format", FORMATS)
def test_included_changes_come_out_as_the_working_tree_is(
    tmp_path: Path, object_format: str
) -> None:
    repository = Repository(tmp_path / "repository", object_format=object_format)
    for name in ("changed", "deleted", "staged", "moved", "to-directory", "from-directory/x"):
        repository.write(name, name)
    repository.write("outside/kept", "k")
    repository.commit()
    repository.write("changed", "other")
    (repository.root / "changed").chmod(0o755)
    (repository.root / "deleted").unlink()
    repository.write("staged", "staged")
    repository.write("staged-new", "s")
    repository.git("add", "staged", "staged-new")
    repository.git("mv", "moved", "away")
    (repository.root / "to-directory").unlink()
    repository.write("to-directory/below", "b")
    shutil.rmtree(repository.root / "from-directory")
    repository.write("from-directory", "f")
    repository.link("new-link", "changed")
    repository.write("new\nline/ü", "odd")

    pack = build_source_pack(repository.root, include_changes=True)

    assert pack.state == "uncommitted"
    assert prove(pack).state is SourceState.UNCOMMITTED
    assert unpack_to(tmp_path / "out", pack) == take_snapshot(repository.root)
    assert {(what.code, what.subject) for what in pack.limitations} == {
        ("changed_file", "away"),
        ("changed_file", "changed"),
        ("changed_file", "from-directory"),
        ("changed_file", "new\nline/ü"),
        ("changed_file", "new-link"),
        ("changed_file", "staged-new"),
        ("changed_file", "to-directory/below"),
        ("changed_file", "deleted"),
        ("changed_file", "from-directory/x"),
        ("changed_file", "moved"),
        ("changed_file", "to-directory"),
    }


def test_a_conflict_in_a_merge_is_packed_as_it_stands(
    repository: Repository, tmp_path: Path
) -> None:
    repository.write("f", "base")
    repository.commit()
    repository.git("checkout", "--quiet", "-b", "side")
    repository.write("f", "side")
    repository.commit()
    repository.git("checkout", "--quiet", "main")
    repository.write("f", "main")
    repository.commit()
    with pytest.raises(subprocess.CalledProcessError):
        repository.git("merge", "--quiet", "side")
    pack = build_source_pack(repository.root, include_changes=True)
    assert pack.changed_paths == ("f",)
    assert unpack_to(tmp_path / "out", pack) == take_snapshot(repository.root)


def test_changes_outside_of_the_directory_and_ignored_files_do_not_count(
    repository: Repository,
) -> None:
    repository.write(".gitignore", "*.log\n")
    repository.write("code/f", "f")
    repository.write("other", "o")
    repository.commit()
    repository.write("other", "changed")
    repository.write("code/noise.log", "n")
    os.utime(repository.root / "code" / "f", (1, 1))
    pack = build_source_pack(repository.root / "code", include_changes=True)
    assert (pack.state, pack.changed_paths) == ("proved", ())


def test_what_was_changed_back_is_no_change(repository: Repository) -> None:
    repository.write("f", "f")
    repository.commit()
    repository.write("f", "other")
    repository.git("add", "f")
    repository.write("f", "f")
    pack = build_source_pack(repository.root, include_changes=True)
    assert pack.state == "proved"


def test_the_executable_bit_counts_only_where_git_trusts_it(repository: Repository) -> None:
    repository.write("f", "f")
    repository.commit()
    repository.git("config", "core.fileMode", "false")
    (repository.root / "f").chmod(0o755)
    assert build_source_pack(repository.root, include_changes=True).state == "proved"
    repository.write("f", "changed")
    pack = build_source_pack(repository.root, include_changes=True)
    assert [file.mode for file in prove(pack).files] == ["100644"]


def test_a_repository_inside_is_left_out_and_named(repository: Repository, tmp_path: Path) -> None:
    repository.write("f", "f")
    commit = repository.commit()
    Repository(repository.root / "inner" / "nested").write("x", "x")
    pack = build_source_pack(repository.root, include_changes=True)
    assert (pack.left_out, pack.state) == (("inner/nested",), "proved")
    assert unpack_to(tmp_path / "out", pack) == repository.files_at(commit)


def test_changes_go_with_head_only(repository: Repository) -> None:
    first = repository.commit()
    repository.commit()
    repository.git("commit", "--quiet", "--allow-empty", "--message=other")
    with pytest.raises(GitError, match="belong to HEAD"):
        build_source_pack(repository.root, commit=first + "~0", include_changes=True)


# Weaker claims


def test_submodules_and_lfs_pointers_are_claims(repository: Repository, tmp_path: Path) -> None:
    inner = Repository(tmp_path / "inner")
    inner.write("x", "x")
    inner.commit()
    repository.git(
        *("-c", "protocol.file.allow=always", "submodule", "--quiet", "add"),
        *(str(inner.root), "lib/inner"),
    )
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    repository.write("model.bin", pointer)
    repository.commit()
    inner.commit()

    pack = build_source_pack(repository.root, include_changes=True)

    assert pack.state == "claimed"
    assert [(what.code, what.subject) for what in pack.limitations] == [
        ("lfs_pointer", "model.bin"),
        ("submodule", "lib/inner"),
    ]
    unpack(pack.content, tmp_path / "out", expected_sha256=pack.pack_sha256)
    assert list((tmp_path / "out" / "lib" / "inner").iterdir()) == []


# Nothing of the repository is executed, nothing is fetched, nothing is written


def test_no_program_that_a_repository_configures_is_started(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = tmp_path / "started"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{witness}'\ncat\n")
    program.chmod(0o755)
    repository.write(".gitattributes", "* filter=evil diff=evil\n")
    repository.write("f", "f")
    repository.commit()
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
        shutil.copy(program, hooks / hook)
    for key in (
        *("core.fsmonitor", "core.pager", "pager.status", "core.sshCommand", "core.askPass"),
        *("filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "filter.é.clean"),
        *("diff.evil.command", "diff.evil.textconv", "diff.external", "credential.helper"),
    ):
        repository.git("config", key, str(program))
    repository.git("config", "core.hooksPath", str(hooks))
    repository.git("config", "filter.evil.required", "true")
    for name in ("GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_SSH_COMMAND", "GIT_ASKPASS"):
        monkeypatch.setenv(name, str(program))
    os.utime(repository.root / "f", (1, 1))
    repository.write("g", "g")

    pack = build_source_pack(repository.root, include_changes=True)

    assert [what.subject for what in pack.limitations] == ["g"]
    assert not witness.exists()
    with pytest.raises(subprocess.CalledProcessError):
        repository.git("add", "g")
    assert witness.exists(), "the trap itself must work"


def test_the_repository_is_not_written_to(repository: Repository) -> None:
    repository.write("f", "f")
    repository.commit()
    os.utime(repository.root / "f", (1, 1))
    repository.write("g", "g")
    git_directory = repository.root / ".git"
    before = {path: path.stat().st_mtime_ns for path in git_directory.rglob("*")}
    build_source_pack(repository.root, include_changes=True)
    assert {path: path.stat().st_mtime_ns for path in git_directory.rglob("*")} == before


def test_the_directory_counts_not_the_environment(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.commit()
    other = Repository(tmp_path / "other")
    other.write("f", "f")
    other.commit()
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "objects"))
    assert build_source_pack(repository.root).commit == commit


def test_a_partial_clone_without_the_files_fetches_nothing(
    repository: Repository, tmp_path: Path
) -> None:
    repository.write("f", "f")
    repository.commit()
    repository.git("config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    origin = repository.root.as_uri()
    repository.git("clone", "--quiet", "--no-checkout", "--filter=blob:none", origin, str(partial))
    with pytest.raises(GitError) as refusal:
        build_source_pack(partial)
    assert refusal.value.code == "object_missing"
    assert "git fetch" in str(refusal.value)


def test_a_working_tree_elsewhere_is_not_read(repository: Repository, tmp_path: Path) -> None:
    repository.commit()
    home = tmp_path / "home"
    home.mkdir()
    (home / "private").write_text("secret")
    repository.git("config", "core.worktree", str(home))
    with pytest.raises(GitError, match=r"core\.worktree|working tree"):
        build_source_pack(repository.root, include_changes=True)


# Errors say what to do


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_repository_of_somebody_else_is_not_read(repository: Repository) -> None:
    repository.commit()
    for path in (repository.root, repository.root / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(GitError, match=r"git config --global --add safe\.directory /") as refusal:
        build_source_pack(repository.root)
    assert refusal.value.code == "repository_not_trusted"


def test_without_git_the_error_says_so(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match="apt-get install git") as refusal:
        build_source_pack(repository.root)
    assert refusal.value.code == "git_missing"


def test_outside_of_a_repository_the_error_says_so(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert refuse(tmp_path / "plain") == "not_a_repository"
    assert refuse(tmp_path / "absent") == "not_a_directory"


def test_a_repository_without_a_commit_or_a_working_tree_is_refused(
    repository: Repository, tmp_path: Path
) -> None:
    assert refuse(repository.root) == "no_commit"
    repository.commit()
    repository.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare"))
    assert refuse(tmp_path / "bare") == "no_working_tree"
    assert refuse(repository.root / ".git") == "no_working_tree"


@pytest.mark.parametrize("commit", ["0" * 40, "nowhere", "--help", "-h", "a\0b", "", "HEAD:f"])
def test_a_commit_that_is_not_there_is_refused(repository: Repository, commit: str) -> None:
    repository.write("f", "f")
    repository.commit()
    with pytest.raises(GitError) as refusal:
        build_source_pack(repository.root, commit=commit)
    assert refusal.value.code == "no_commit"


def test_a_directory_that_was_never_committed_is_refused(repository: Repository) -> None:
    repository.commit()
    repository.write("new/f", "f")
    assert refuse(repository.root / "new") == "source_path_missing"


def test_what_could_not_be_unpacked_safely_is_not_packed(repository: Repository) -> None:
    repository.commit()
    repository.link("escape", "/etc/passwd")
    assert refuse(repository.root, include_changes=True) == "source_unsafe"
    (repository.root / "escape").unlink()
    repository.write("back\\slash", "b")
    assert refuse(repository.root, include_changes=True) == "source_unsafe"
    repository.commit()
    assert refuse(repository.root) == "source_unsafe"


def test_large_files_are_refused_by_name(repository: Repository) -> None:
    repository.commit()
    with repository.write("data.bin").open("wb") as file:
        file.truncate(33 * 1024 * 1024)
    with pytest.raises(SourceRefused, match=r"data\.bin.*dataset"):
        build_source_pack(repository.root, include_changes=True)
    repository.commit()
    assert refuse(repository.root) == "source_too_large"


def test_a_source_over_the_limit_is_refused_while_it_is_packed(repository: Repository) -> None:
    for number in range(3):
        repository.write(f"{number}", bytes([number]) * 30_000_000)
    repository.commit()
    assert refuse(repository.root) == "source_too_large"


def refuse(directory: Path, *, include_changes: bool = False) -> str:
    """The code of the error; its message must say something."""
    with pytest.raises(sdk.SourceError) as refusal:
        build_source_pack(directory, include_changes=include_changes)
    assert str(refusal.value).endswith((".", "'"))
    return refusal.value.code


@pytest.mark.parametrize(
    ("url", "recorded"),
    [
        ("https://git.example.org/team/code.git", "https://git.example.org/team/code.git"),
        ("https://me:token@git.example.org/code", "https://git.example.org/code"),
        ("https://token@git.example.org:8443/code", "https://git.example.org:8443/code"),
        ("https://git.example.org/code?private_token=x#y", "https://git.example.org/code"),
        ("https://a:b@c@git.example.org/code", "https://git.example.org/code"),
        ("ssh://git@git.example.org:22/code", "ssh://git@git.example.org:22/code"),
        ("ssh://git:password@git.example.org/code", "ssh://git@git.example.org/code"),
        ("git@git.example.org:team/code.git", "git@git.example.org:team/code.git"),
        ("/srv/git/code.git", "/srv/git/code.git"),
        ("file:///srv/git/code.git", "file:///srv/git/code.git"),
        ("https://[broken/code", None),
        ("https://git.example.org/\x1b[2J", None),
        ("", None),
    ],
)
def test_the_url_of_origin_is_recorded_without_credentials(
    repository: Repository, url: str, recorded: str | None
) -> None:
    assert strip_credentials(url) == recorded
    repository.commit()
    repository.git("config", "remote.origin.url", url)
    assert build_source_pack(repository.root).repo_url == recorded


# Unpacking


@pytest.mark.parametrize("vector", ACCEPTED, ids=lambda vector: vector.name)
def test_an_accepted_vector_is_unpacked_to_the_files_it_is_of(
    vector: Vector, tmp_path: Path
) -> None:
    digest = vector.expect["pack_sha256"]
    source = unpack(vector.pack, tmp_path / "out", expected_sha256=digest, commit=vector.commit)
    assert (source.state, source.path) == (vector.expect["state"], vector.path)
    limitations = [[what.code, what.subject] for what in source.limitations]
    assert limitations == vector.expect["limitations"]
    expected = {file["path"].encode(): file for file in vector.expect["files"]}
    found = take_snapshot(tmp_path / "out")
    assert {path: mode for path, (mode, _) in found.items()} == {
        path: file["mode"] for path, file in expected.items()
    }
    assert {entry.path: entry.sha256 for entry in source.entries if entry.mode != "160000"} == {
        path: file["sha256"] for path, file in expected.items()
    }
    assert {path: content for path, (_, content) in found.items()} == {
        entry.path: bytes(entry.content) for entry in source.entries if entry.mode != "160000"
    }


@pytest.mark.parametrize("vector", REFUSED, ids=lambda vector: vector.name)
def test_a_refused_vector_is_refused_before_anything_is_written(
    vector: Vector, tmp_path: Path
) -> None:
    with pytest.raises(SourceRefused) as refusal:
        sdk.verify(
            vector.pack,
            commit=vector.commit,
            object_format=vector.object_format,
            path=vector.path,
        )
    assert refusal.value.code == vector.expect["code"]
    digest = "sha256:" + "0" * 64
    with pytest.raises(SourceRefused):
        unpack(vector.pack, tmp_path / "out", expected_sha256=digest, commit=vector.commit)
    assert not (tmp_path / "out").exists()


def test_a_pack_is_unpacked_from_a_file_or_a_stream_too(tmp_path: Path) -> None:
    vector = find_vector("accepted-plain-sha1")
    digest = vector.expect["pack_sha256"]
    file = tmp_path / "pack"
    file.write_bytes(vector.pack)
    unpack(file, tmp_path / "one", expected_sha256=digest)
    with file.open("rb") as stream:
        unpack(stream, tmp_path / "two", expected_sha256=digest)
    assert take_snapshot(tmp_path / "one") == take_snapshot(tmp_path / "two") != {}


def test_a_pack_with_another_digest_or_of_another_commit_is_not_unpacked(tmp_path: Path) -> None:
    vector, other = find_vector("accepted-plain-sha1"), find_vector("accepted-merge")
    digest = other.expect["pack_sha256"]
    with pytest.raises(SourceRefused, match="SHA-256"):
        unpack(vector.pack, tmp_path / "out", expected_sha256=digest)
    with pytest.raises(SourceRefused, match="commit"):
        unpack(other.pack, tmp_path / "out", expected_sha256=digest, commit=vector.commit)
    with pytest.raises(SourceRefused, match="directory"):
        unpack(other.pack, tmp_path / "out", expected_sha256=digest, path="elsewhere")
    assert not (tmp_path / "out").exists()


def test_only_a_new_or_an_empty_directory_is_written_to(tmp_path: Path) -> None:
    vector = find_vector("accepted-plain-sha1")
    digest = vector.expect["pack_sha256"]
    (tmp_path / "empty").mkdir()
    unpack(vector.pack, tmp_path / "empty", expected_sha256=digest)
    before = take_snapshot(tmp_path / "empty")
    with pytest.raises(sdk.UnpackError, match="not empty"):
        unpack(vector.pack, tmp_path / "empty", expected_sha256=digest)
    assert take_snapshot(tmp_path / "empty") == before
    (tmp_path / "file").write_text("x")
    for unfit in (tmp_path / "file", tmp_path / "absent" / "out"):
        with pytest.raises(sdk.UnpackError, match="Could not write"):
            unpack(vector.pack, unfit, expected_sha256=digest)


def test_permissions_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    vector = find_vector("accepted-plain-sha1")
    earlier = os.umask(0o077)
    try:
        unpack(vector.pack, tmp_path / "out", expected_sha256=vector.expect["pack_sha256"])
    finally:
        os.umask(earlier)
    modes = {
        path.relative_to(tmp_path).as_posix(): oct(path.stat().st_mode & 0o777)
        for path in (tmp_path / "out", *(tmp_path / "out").rglob("*"))
        if not path.is_symlink()
    }
    executables = {"out", "out/bin", "out/bin/run.sh", "out/pkg", "out/pkg/deep", "out/pkg/deep/er"}
    assert modes == {path: "0o755" if path in executables else "0o644" for path in modes}


# Properties, with real git

_LETTERS = st.sampled_from(["a", "b", ".b", "-", " ", "ä", "\n", "0", "~1", '"', "\U0001f600"])
_FILE_NAMES = (
    st.lists(_LETTERS, min_size=1, max_size=4)
    .map("".join)
    .filter(lambda name: name not in (".", ".."))
)
_DIRECTORIES = st.lists(st.sampled_from(["d", "e", "a", "a.b", "ü "]), max_size=3)
_PATHS = st.builds(lambda names, name: "/".join([*names, name]), _DIRECTORIES, _FILE_NAMES)
_STATES = st.one_of(
    st.tuples(st.sampled_from(["100644", "100755"]), st.binary(max_size=40)),
    st.tuples(st.just("120000"), st.sampled_from([b"x", b"./d/e", b"a.b/c", b"."])),
)
_TREES = st.dictionaries(_PATHS, _STATES, max_size=8)


def lay_out(repository: Repository, tree: dict[str, tuple[str, bytes]]) -> None:
    """Make the working tree hold these files only; a path in another's way is left out."""
    for child in repository.root.iterdir():
        if child.name != ".git":
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    for path, (mode, content) in tree.items():
        file = repository.root / path
        above = [parent for parent in file.parents if parent.is_relative_to(repository.root)]
        if any(os.path.lexists(p) and (p.is_symlink() or not p.is_dir()) for p in above):
            continue
        if os.path.lexists(file):
            continue
        if mode == "120000":
            repository.link(path, os.fsdecode(content))
        else:
            repository.write(path, content, mode=0o755 if mode == "100755" else 0o644)


@pytest.mark.parametrize("object_format", FORMATS)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(tree=_TREES)
def test_any_tree_comes_out_byte_for_byte_as_git_has_it(
    tmp_path_factory: pytest.TempPathFactory, object_format: str, tree: dict[str, tuple[str, bytes]]
) -> None:
    work = tmp_path_factory.mktemp("any")
    repository = Repository(work / "repository", object_format=object_format)
    lay_out(repository, tree)
    commit = repository.commit()
    pack = build_source_pack(repository.root)
    assert (prove(pack).state, pack.state) == (SourceState.PROVED, "proved")
    assert unpack_to(work / "out", pack) == repository.files_at(commit)
    shutil.rmtree(work)


def test_a_file_behind_what_is_a_link_now_is_gone(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.write("there/a", b"old")
    repository.write("a", b"outside")
    repository.commit()
    shutil.rmtree(repository.root / "there")
    (repository.root / "there").symlink_to(".")
    pack = build_source_pack(repository.root, include_changes=True)
    assert unpack_to(tmp_path / "out", pack) == take_snapshot(repository.root)


@pytest.mark.parametrize("object_format", FORMATS)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(before=_TREES, after=_TREES)
def test_any_working_tree_comes_out_as_it_is(
    tmp_path_factory: pytest.TempPathFactory,
    object_format: str,
    before: dict[str, tuple[str, bytes]],
    after: dict[str, tuple[str, bytes]],
) -> None:
    work = tmp_path_factory.mktemp("any")
    repository = Repository(work / "repository", object_format=object_format)
    lay_out(repository, before)
    commit = repository.commit()
    lay_out(repository, after)
    pack = build_source_pack(repository.root, include_changes=True)
    proof = prove(pack)
    is_changed = take_snapshot(repository.root) != repository.files_at(commit)
    assert (proof.state is SourceState.UNCOMMITTED) == is_changed
    assert {(what.code, what.subject) for what in pack.limitations} == {
        (what.code.value, what.subject) for what in proof.limitations
    }
    assert unpack_to(work / "out", pack) == take_snapshot(repository.root)
    shutil.rmtree(work)
