"""Where a step works on a laptop: private, ignored by git, and never through somebody's link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from animus_sdk.errors import FileUnfit
from animus_sdk.local.folders import STEPS, held, open_home, put_file, remove_tree, used_bytes


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


def test_the_same_bytes_take_no_room_twice(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    put_file(tmp_path / "a", tmp_path / "in" / "b" / "a")
    assert os.path.samefile(tmp_path / "a", tmp_path / "in" / "b" / "a")
    assert used_bytes(tmp_path / "in") >= 100_000
