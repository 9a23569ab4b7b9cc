"""Pushing and downloading datasets, on the real gateway and the real store."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from animus_sdk import Client, FileUnfit, TransferFailed
from animus_sdk.resources.references import UnknownReference
from animus_sdk.transfer.digests import digest_of
from animus_sdk.transfer.manifests import find_files, hash_files
from animus_sdk.transfer.stores import Store, StoreRoute
from animus_sdk.transfer.uploads import upload_all
from animus_sdk.wire import operations
from animus_sdk.wire.views import DatasetUpload, Upload

from animus.adapters.object_store import S3ObjectStore
from animus.domain.digests import parse_digest
from animus.domain.ids import ProjectId
from tests.sdk.conftest import object_store_of
from tests.sdk.faulty_proxies import LOST, Fault, faulty_proxy, unix_proxy
from tests.sdk.platforms import QUICK, Platform, unique


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two files, with content that no other test has."""
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.csv").write_text(f"a,b\n1,{unique('x')}\n")
    (folder / "sub" / "b.csv").write_text(unique("b"))
    return folder


@pytest.fixture
def late_store(platform: Platform) -> Iterator[S3ObjectStore]:
    """Signs URLs as an hour ago: real ones, that have expired."""

    def an_hour_ago() -> datetime:
        return datetime.now(UTC) - timedelta(hours=1)

    store = object_store_of(platform.stack, now=an_hour_ago)
    yield store
    platform.driver.close_store(store)


def test_a_second_push_of_the_same_files_sends_nothing(client: Client, files: Path) -> None:
    name = unique("cancer")
    first = client.datasets.push(name, [files])
    again = client.datasets.push(name, [files])
    assert (first.files, first.uploaded, first.new_version) == (2, 2, True)
    assert (again.uploaded, again.already_stored, again.new_version) == (0, 2, False)
    assert again.version == first.version


def test_only_what_is_new_in_the_next_version_is_sent(client: Client, files: Path) -> None:
    name = unique("cancer")
    client.datasets.push(name, [files])
    (files / "c.csv").write_text(unique("c"))
    pushed = client.datasets.push(name, [files])
    assert (pushed.uploaded, pushed.already_stored, pushed.version["ordinal"]) == (1, 2, 2)


def test_the_same_bytes_under_two_names_are_sent_once(client: Client, files: Path) -> None:
    (files / "copy.csv").write_bytes((files / "a.csv").read_bytes())
    pushed = client.datasets.push(unique("cancer"), [files])
    assert (pushed.files, pushed.uploaded) == (3, 2)


def test_our_digest_of_a_manifest_is_the_gateways(client: Client, files: Path) -> None:
    (files / "Ünïcode – 数据.csv").write_text(unique("u"))
    manifest = hash_files(find_files([files]))
    pushed = client.datasets.push_manifest(unique("cancer"), manifest)
    assert pushed.version["digest"] == manifest.digest


def test_an_empty_file_and_a_large_one_arrive(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "empty").touch()
    large = os.urandom(5 * 1024**2)
    (folder / "large").write_bytes(large)
    pushed = client.datasets.push(unique("sizes"), [folder])
    client.datasets.download(pushed.version["id"], tmp_path / "back")
    assert (tmp_path / "back" / "large").read_bytes() == large
    assert (tmp_path / "back" / "empty").read_bytes() == b""


def test_a_push_that_was_killed_between_upload_and_commit_goes_on(
    platform: Platform, files: Path, home: Path
) -> None:
    """The process ends hard before it commits; the next push finds the objects in the store."""
    name = unique("killed")
    program = (
        "import os, sys\n"
        "from animus_sdk.transfer import uploads\n"
        "from animus_sdk.resources import datasets\n"
        "real = uploads.upload_all\n"
        "def upload_all(*a, **k):\n"
        "    real(*a, **k)\n"
        "    os.kill(os.getpid(), 9)\n"
        "datasets.upload_all = upload_all\n"
        "from animus_sdk import Client\n"
        "Client().datasets.push(sys.argv[1], [sys.argv[2]])\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, name, str(files)],
        env=platform.environment(home),
        check=False,
    )
    assert killed.returncode == -9
    with platform.client() as client:
        pushed = client.datasets.push(name, [files])
    # Each PUT was answered 412: it is there already.
    assert (pushed.uploaded, pushed.already_stored, pushed.new_version) == (0, 2, True)


def test_no_log_holds_a_url_or_a_token(
    platform: Platform, client: Client, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        pushed = client.datasets.push(unique("quiet"), [files])
        client.datasets.download(pushed.version["id"], files.parent / "back")
    assert "X-Amz" not in caplog.text
    assert platform.tokens["engineer"] not in caplog.text


def test_a_commit_whose_answer_was_lost_makes_one_version(platform: Platform, files: Path) -> None:
    with faulty_proxy(platform.url) as proxy, platform.client(url=proxy.url) as client:
        proxy.faults, proxy.path = [LOST], ":commit"
        pushed = client.datasets.push(unique("lost"), [files])
        versions = client.datasets.versions(pushed.dataset["id"])
    assert [version["id"] for version in versions] == [pushed.version["id"]]


def test_urls_that_have_expired_are_asked_for_again(
    platform: Platform, client: Client, files: Path, late_store: S3ObjectStore
) -> None:
    manifest = hash_files(find_files([files]))
    dataset = client.datasets.create(unique("late"))
    upload = _declare(client, dataset["id"], manifest.document)
    expired = [_presign(late_store, platform, one) for one in upload["uploads"]]
    asked = []

    def renew() -> list[Upload]:
        asked.append(1)
        return upload["uploads"]

    sources = {file.sha256: file.source for file in manifest.files}
    store = Store(retries=QUICK)
    done = upload_all(store, expired, sources, renew=renew)
    store.close()
    assert (done.sent, len(asked)) == (2, 1)


def test_a_store_that_refuses_every_url_is_told(
    platform: Platform, client: Client, files: Path, late_store: S3ObjectStore
) -> None:
    manifest = hash_files(find_files([files]))
    dataset = client.datasets.create(unique("late"))
    upload = _declare(client, dataset["id"], manifest.document)
    expired = [_presign(late_store, platform, one) for one in upload["uploads"]]
    sources = {file.sha256: file.source for file in manifest.files}
    store = Store(retries=QUICK)
    with pytest.raises(TransferFailed) as refused:
        upload_all(store, expired, sources, renew=lambda: expired)
    store.close()
    assert refused.value.code == "urls_refused"
    assert "http" not in refused.value.message


def test_a_file_that_changes_after_it_was_read_is_refused(client: Client, files: Path) -> None:
    manifest = hash_files(find_files([files]))
    same_length = (files / "a.csv").read_text().replace("a", "z")
    (files / "a.csv").write_text(same_length)
    with pytest.raises(TransferFailed) as refused:
        client.datasets.push_manifest(unique("changed"), manifest)
    assert refused.value.code == "file_changed"


@pytest.mark.parametrize("grow", [b"more", b""])
def test_a_file_that_grows_or_shrinks_is_refused(client: Client, files: Path, grow: bytes) -> None:
    manifest = hash_files(find_files([files]))
    content = (files / "a.csv").read_bytes()
    (files / "a.csv").write_bytes(content + grow if grow else content[:-3])
    with pytest.raises(TransferFailed) as refused:
        client.datasets.push_manifest(unique("changed"), manifest)
    assert refused.value.code == "file_changed"


@pytest.mark.parametrize("faults", [[LOST], [503], [500, LOST]])
def test_an_upload_is_repeated_where_the_stores_answer_was_lost(
    platform: Platform, client: Client, files: Path, tmp_path: Path, faults: list[Fault]
) -> None:
    manifest = hash_files(find_files([files]))
    dataset = client.datasets.create(unique("flaky"))
    upload = _declare(client, dataset["id"], manifest.document)
    sources = {file.sha256: file.source for file in manifest.files}
    with unix_proxy(tmp_path / "store.sock", platform.store_url) as proxy:
        proxy.faults, proxy.method = list(faults), "PUT"
        store = Store(route=StoreRoute(socket=tmp_path / "store.sock"), retries=QUICK)
        upload_all(store, upload["uploads"], sources, renew=lambda: upload["uploads"])
        store.close()
    pushed = client.datasets.push_manifest(dataset["name"], manifest)
    assert (pushed.uploaded, pushed.already_stored) == (0, 2)


def test_a_download_is_compared_and_appears_only_when_whole(
    platform: Platform, client: Client, files: Path, tmp_path: Path
) -> None:
    pushed = client.datasets.push(unique("cancer"), [files])
    target = tmp_path / "back"
    done = client.datasets.download(pushed.version["id"], target)
    assert (done.files, done.already) == (2, 0)
    assert _tree(target) == _tree(files)
    again = client.datasets.download(pushed.version["id"], target)
    assert again.already == 2


def test_other_content_that_is_there_is_not_overwritten_unasked(
    client: Client, files: Path, tmp_path: Path
) -> None:
    pushed = client.datasets.push(unique("cancer"), [files])
    target = tmp_path / "back"
    target.mkdir()
    (target / "a.csv").write_text("mine")
    with pytest.raises(FileUnfit, match="already"):
        client.datasets.download(pushed.version["id"], target)
    assert (target / "a.csv").read_text() == "mine"
    client.datasets.download(pushed.version["id"], target, replace=True)
    assert _tree(target) == _tree(files)


def test_a_version_is_found_by_number_by_latest_and_by_id(client: Client, files: Path) -> None:
    name = unique("versions")
    first = client.datasets.push(name, [files]).version
    (files / "c.csv").write_text(unique("c"))
    second = client.datasets.push(name, [files]).version
    wanted = [f"{name}@1", f"{name}@2", f"{name}@latest", name, first["id"]]
    found = [client.datasets.version(reference)["id"] for reference in wanted]
    assert found == [first["id"], second["id"], second["id"], second["id"], first["id"]]
    with pytest.raises(UnknownReference, match="Known: 1, 2"):
        client.datasets.version(f"{name}@3")


def test_links_are_followed_inside_and_refused_where_they_leave(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "real.csv").write_text("x")
    (folder / "deep" / "link.csv").symlink_to("../real.csv")
    (folder / "again").symlink_to("deep")
    (folder / "absolute.csv").symlink_to(folder / "real.csv")
    found = {file.path: file.source.read_text() for file in find_files([folder])}
    assert found == dict.fromkeys(
        ["absolute.csv", "again/link.csv", "deep/link.csv", "real.csv"], "x"
    )
    (tmp_path / "secret").write_text("s")
    (folder / "out.csv").symlink_to("../secret")
    with pytest.raises(FileUnfit) as refused:
        find_files([folder])
    assert refused.value.code == "link_leaves"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda folder: os.mkfifo(folder / "pipe"), "special_file"),
        (lambda folder: (folder / "a\nb").touch(), "unsafe_name"),
        (lambda folder: (folder / "a\\b").touch(), "unsafe_name"),
        (lambda folder: open(os.fsencode(folder) + b"/\xff", "wb").close(), "unsafe_name"),
        (lambda folder: (folder / "loop").symlink_to("loop"), "link_loop"),
        (lambda folder: (folder / "self").symlink_to("."), "link_loop"),
        (lambda folder: (folder / "gone").symlink_to("nowhere"), "unreadable"),
        (lambda folder: (folder / "etc").symlink_to("/etc"), "link_leaves"),
        (lambda folder: None, "no_files"),
    ],
)  # fmt: skip
def test_a_directory_that_cannot_be_a_dataset_is_refused(
    tmp_path: Path, make: object, code: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    assert callable(make)
    make(folder)
    with pytest.raises(FileUnfit) as refused:
        find_files([folder])
    assert refused.value.code == code
    assert refused.value.message.isprintable()


def test_paths_keep_their_names_where_several_are_given(files: Path, tmp_path: Path) -> None:
    (tmp_path / "alone.csv").write_text("x")
    found = [file.path for file in find_files([files, tmp_path / "alone.csv"])]
    assert found == ["alone.csv", "data/a.csv", "data/sub/b.csv"]


def _declare(client: Client, dataset_id: str, manifest: object) -> DatasetUpload:
    scope = client.datasets._scope
    return scope.call(
        operations.DECLARE_VERSION,
        DatasetUpload,
        body={"manifest": manifest},
        dataset_id=dataset_id,
    )


def _presign(store: S3ObjectStore, platform: Platform, upload: Upload) -> Upload:
    signed = store.presign_put(
        ProjectId(UUID(platform.project_id)),
        parse_digest(upload["sha256"]),
        size=upload["size"],
        expires=timedelta(minutes=10),
    )
    return {**upload, "url": signed.url, "headers": dict(signed.headers)}


def _tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): digest_of(path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }
