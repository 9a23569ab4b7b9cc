"""Where a step works on a laptop: private, ignored by git, and never through somebody's link."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from animus_sdk.errors import FileUnfit
from animus_sdk.local.flags import STEP_UID
from animus_sdk.local.folders import (
    STEPS,
    StepFolder,
    held,
    open_home,
    put_file,
    remove_tree,
    step_root,
    used_bytes,
)
from animus_sdk.step.mains import let_everybody_write

from tests.sdk.local_steps import docker

OURS = 41_234
"""A user without rights."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")


@contextmanager
def acting_as(user: int) -> Iterator[None]:
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder, with relative paths: what is above it only root enters."""
    tmp_path.chmod(0o777)
    monkeypatch.chdir(tmp_path)


def test_it_is_private_and_git_ignores_it(tmp_path: Path) -> None:
    place = open_home(tmp_path, STEPS)
    assert place == tmp_path / ".animus" / "steps"
    assert place.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / ".animus" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize("link", [".animus", ".animus/steps", ".animus/steps/run"])
def test_a_link_that_came_with_the_folder_is_not_followed(tmp_path: Path, link: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = tmp_path / "project"
    (folder / link).parent.mkdir(parents=True)
    (folder / link).symlink_to(elsewhere)
    with (
        pytest.raises(FileUnfit, match="symbolic link"),
        held(open_home(folder, STEPS) / "run" / "train"),
    ):
        pass
    assert list(elsewhere.iterdir()) == []


def test_a_second_command_in_it_is_refused(tmp_path: Path) -> None:
    folder = open_home(tmp_path, STEPS) / "run" / "train"
    with held(folder), pytest.raises(FileUnfit, match="Another command is at work"), held(folder):
        pass
    with held(folder):
        pass


def test_a_tree_without_permissions_is_removed(tmp_path: Path) -> None:
    tree = tmp_path / "out"
    (tree / "closed").mkdir(parents=True)
    (tree / "closed" / "file").write_text("x")
    (tree / "closed").chmod(0o000)
    remove_tree(tree)
    assert not tree.exists()
    (tmp_path / "link").symlink_to(tmp_path)
    remove_tree(tmp_path / "link")
    assert tmp_path.exists()


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder whose work has more directories in each other than Python calls functions."""
    folder = tmp_path / "deep"
    place = folder / "work"
    try:
        for _ in range(1_500):
            place.mkdir(parents=True)
            place = place / "d"
        place.mkdir()
        (place / "file").write_bytes(b"x" * 1_000_000)
        yield folder
    finally:
        subprocess.run(["rm", "-rf", folder], check=True)  # as pytest could not


def test_what_is_too_deep_is_counted_and_out_of_the_way(deep: Path) -> None:
    """Removed or, where this Python can't, set aside."""
    folder = StepFolder(root=deep)
    assert used_bytes(folder.work) > 1_000_000
    let_everybody_write([folder.work])
    folder.make_empty(folder.work)
    assert list(folder.work.iterdir()) == []


@needs_root
@pytest.mark.usefixtures("open_place")
def test_a_directory_of_ours_that_nobody_may_list_is_removed() -> None:
    with acting_as(OURS):
        tree = Path("out")
        (tree / "closed" / "inner").mkdir(parents=True)
        (tree / "closed" / "inner" / "file").write_text("x")
        (tree / "closed" / "inner").chmod(0o000)
        (tree / "closed").chmod(0o000)
        (tree / "away").symlink_to("/")
        remove_tree(tree)
        assert not tree.exists()


@needs_root
@pytest.mark.usefixtures("open_place")
def test_what_main_made_as_another_user_is_left_to_it_and_set_aside() -> None:
    """As docker's steps do it for a person without rights."""
    folder = StepFolder(root=Path("step"))
    for number in (1, 2):
        with acting_as(OURS):
            folder.make_empty(folder.work, folder.outputs)
            (folder.work / "train.py").write_text("mine")
            folder.give_to_main(docker())
        with acting_as(STEP_UID):
            (folder.work / "train.py").write_text("changed")
            (folder.work / "made").mkdir(mode=0o700)
            (folder.work / "made" / "file").write_text("x")
            (folder.outputs / "model").touch(mode=0o600)
        with acting_as(OURS):
            folder.give_to_main(docker())
            folder.make_empty(folder.work, folder.outputs)
            assert list(folder.work.iterdir()) == []
        assert (folder.root / f".work-{number}" / "made" / "file").read_text() == "x"
        assert not (folder.root / ".out-1").exists()  # a file in a directory of ours can be removed


def test_runs_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    home = open_home(tmp_path, STEPS)
    names = [
        step_root(home, run_name="bold-fox", run_id=run_id, step="train").relative_to(home)
        for run_id in ("one", "two", "one", "two")
    ]
    assert list(map(str, names)) == ["bold-fox/train", "bold-fox.two/train"] * 2
    with held(home / names[1]):
        pass
    remove_tree(home / names[0])
    assert step_root(home, run_name="bold-fox", run_id="two", step="train") == home / names[1]
    assert step_root(home, run_name="bold-fox", run_id="new", step="train") == home / names[0]


def test_the_same_bytes_take_no_room_twice(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    put_file(tmp_path / "a", tmp_path / "in" / "b" / "a")
    assert os.path.samefile(tmp_path / "a", tmp_path / "in" / "b" / "a")
    assert used_bytes(tmp_path / "in") >= 100_000
