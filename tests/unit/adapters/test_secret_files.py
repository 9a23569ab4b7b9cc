"""Secrets on the host: in memory, readable by the step's user alone, gone when they are removed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from animus.adapters.container.secret_files import SecretRoom, is_in_memory
from animus.domain.secrets import SecretValue, StepSecret

SECRETS = (
    StepSecret(name="key", value=SecretValue(b"\0\xff")),
    StepSecret(name="password", value=SecretValue(b"correct horse\n")),
)


def test_files_are_for_one_user_and_can_be_read_back(tmp_path: Path) -> None:
    files = SecretRoom(directory=tmp_path / "room", owner=None).of("attempt")
    assert files.read() == {}
    files.write(SECRETS)
    files.write(SECRETS)
    assert files.read() == {secret.name: secret.value for secret in SECRETS}
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.rglob("*")}
    assert modes == {"room": 0o700, "attempt": 0o500, "key": 0o400, "password": 0o400}


def test_what_is_removed_is_gone_and_may_be_removed_again(tmp_path: Path) -> None:
    room = SecretRoom(directory=tmp_path / "room", owner=None)
    assert list(room.names()) == []
    room.of("one").write(SECRETS)
    assert list(room.names()) == ["one"]
    for _ in range(2):
        room.of("one").remove()
    assert list(room.names()) == []
    assert room.of("one").read() == {}


@pytest.mark.parametrize("planted", ["for all", "a link", "a file"])
def test_a_place_that_somebody_else_prepared_is_not_used(tmp_path: Path, planted: str) -> None:
    room, target = tmp_path / "room", tmp_path / "target"
    target.mkdir(mode=0o700)
    match planted:
        case "for all":
            room.mkdir()
            room.chmod(0o755)
        case "a link":
            room.symlink_to(target)
        case "a file":
            room.touch()
    with pytest.raises(OSError, match="room"):
        SecretRoom(directory=room, owner=None).of("attempt").write(SECRETS)
    assert not any(each.is_file() and each.name != "room" for each in tmp_path.rglob("*"))


def test_memory_is_told_from_a_disk() -> None:
    assert is_in_memory(Path("/dev/shm"))
    assert is_in_memory(Path("/dev/shm/not/there"))
    assert not is_in_memory(Path("/proc"))
