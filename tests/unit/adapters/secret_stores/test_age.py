"""Secrets in an encrypted file: each project's own, one change at a time, dark without its key."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from uuid import uuid4

import pytest

from animus.adapters.secret_stores.age import AgeFile, AgeStore, make_identity
from animus.domain.errors import Invalid
from animus.domain.ids import ProjectId
from animus.domain.secrets import place_of
from animus.ports import SecretMissing, SecretStoreUnavailable

MINE, OTHERS = ProjectId(uuid4()), ProjectId(uuid4())
CANARY = "correct horse"


@pytest.fixture
def content(tmp_path: Path) -> AgeFile:
    content = AgeFile(file=tmp_path / "secrets.age", identity_file=tmp_path / "identity")
    make_identity(content.identity_file)
    content.write({str(MINE): {"warehouse/password": CANARY}, str(OTHERS): {"token": "others"}})
    return content


async def test_a_project_reads_its_own_and_no_others(content: AgeFile) -> None:
    store = AgeStore(content=content)
    value = await store.read(place_of(MINE, "warehouse/password"))
    assert value.reveal() == CANARY.encode()
    for reference in ("token", f"{OTHERS}/token", "warehouse", "warehouse/password/value"):
        with pytest.raises(SecretMissing, match="animusd secrets set"):
            await store.read(place_of(MINE, reference))


@pytest.mark.parametrize(
    "reference",
    ["..", "../x", "a/../b", "a//b", "/a", "a/", "", ".", "a%2fb", "a\\b", "a\nb", "a\n"],
)
def test_no_reference_leads_out_of_a_projects_corner(reference: str) -> None:
    with pytest.raises(Invalid, match="relative path"):
        place_of(MINE, reference)


async def test_a_value_that_was_rotated_is_the_next_ones(content: AgeFile) -> None:
    store = AgeStore(content=content)
    with content.changing() as projects:
        projects[str(MINE)]["warehouse/password"] = "new"
    assert (await store.read(place_of(MINE, "warehouse/password"))).reveal() == b"new"


def test_the_file_shows_nothing_and_is_for_its_owner_alone(content: AgeFile) -> None:
    written = content.file.read_bytes()
    assert written.startswith(b"age-encryption.org/v1")
    for word in (CANARY, "warehouse", str(MINE)):
        assert word.encode() not in written
    for file in (content.file, content.identity_file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_file_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    content = AgeFile(file=tmp_path / "none", identity_file=tmp_path / "none either")
    with pytest.raises(SecretMissing):
        await AgeStore(content=content).read(place_of(MINE, "token"))


@pytest.mark.parametrize(
    "fault", ["another key", "two keys", "no key", "cut off", "a list", "deep"]
)
async def test_a_file_that_cannot_be_read_is_waited_for(content: AgeFile, fault: str) -> None:
    store = AgeStore(content=content)
    identity = content.identity_file.read_text()
    match fault:
        case "another key":
            content.identity_file.unlink()
            make_identity(content.identity_file)
        case "two keys":
            content.identity_file.write_text(identity * 2)
        case "no key":
            content.identity_file.unlink()
        case "cut off":
            os.truncate(content.file, content.file.stat().st_size - 1)
        case "a list":
            content.write([CANARY])  # type: ignore[arg-type]  # what it must not be
        case "deep":
            content.write({str(MINE): {"warehouse/password": {"a": CANARY}}})
    with pytest.raises(SecretStoreUnavailable) as caught:
        await store.read(place_of(MINE, "warehouse/password"))
    assert CANARY not in f"{caught.value!r} {caught.value.detail}"
    assert caught.value.detail


def test_a_change_that_fails_changes_nothing(content: AgeFile) -> None:
    before = content.file.read_bytes()

    def fail() -> None:
        with content.changing() as projects:
            projects.clear()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert content.file.read_bytes() == before


def test_an_identity_is_never_put_in_the_place_of_another(content: AgeFile) -> None:
    with pytest.raises(FileExistsError):
        make_identity(content.identity_file)
