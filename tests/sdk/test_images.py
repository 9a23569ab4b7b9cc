"""Images by tag become digests: from an engine of this machine, or from a registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from animus_sdk.errors import SettingsUnfit, Unreachable
from animus_sdk.images.credentials import find_credential
from animus_sdk.images.engines import LocalEngine, find_in_engine, local_engines
from animus_sdk.images.found import FoundImage, ImageNotFound, ImageUnresolved
from animus_sdk.images.names import ImageName, parse_image_name
from animus_sdk.images.registries import find_in_registry
from animus_sdk.images.resolution import resolve_image

from tests.sdk.engines import described, engine
from tests.sdk.registries import (
    INDEX,
    PASSWORD,
    USER,
    TagRegistry,
    basic,
    image_manifest,
    tag_registry,
)

A, B, C = ("sha256:" + letter * 64 for letter in "abc")


@pytest.fixture
def registry() -> Iterator[TagRegistry]:
    with tag_registry() as registry:
        yield registry


@pytest.fixture(autouse=True)
def nobody_is_signed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ANIMUS_ENGINE", str(engine(tmp_path, None).command[0]))


@pytest.mark.parametrize(
    ("written", "repository", "tag", "host", "path"),
    [
        ("python", "python", "latest", "docker.io", "library/python"),
        ("team/train:1.4", "team/train", "1.4", "docker.io", "team/train"),
        ("registry.example/x/y:Z_1", "registry.example/x/y", "Z_1", "registry.example", "x/y"),
        ("localhost:5000/x", "localhost:5000/x", "latest", "localhost:5000", "x"),
        ("localhost:5000/x:2", "localhost:5000/x", "2", "localhost:5000", "x"),
        ("localhost/mine", "localhost/mine", "latest", "localhost", "mine"),
        ("10.0.0.1:5000/a/b/c:t", "10.0.0.1:5000/a/b/c", "t", "10.0.0.1:5000", "a/b/c"),
    ],
)
def test_names_are_read_as_engines_read_them(
    written: str, repository: str, tag: str, host: str, path: str
) -> None:
    name = parse_image_name(written)
    assert (name.repository, name.tag, name.host, name.path) == (repository, tag, host, path)
    assert parse_image_name(f"{repository}@{A}").digest == A


@pytest.mark.parametrize(
    "written",
    ["", "-rm", "--help", "Train", "a b", "x:", "x@sha256:1", "x@md5:" + "a" * 32, "a//b", "a/",
     "x\x1b[2J", "x\n", "../x", "x" * 600, "x:" + "t" * 129],
)  # fmt: skip
def test_what_is_no_name_reaches_no_engine_and_no_registry(written: str) -> None:
    with pytest.raises(SettingsUnfit, match="An image is written as") as refused:
        parse_image_name(written)
    assert "\x1b" not in refused.value.message


def test_an_engine_tells_the_name_and_the_digest_under_which_it_will_run_the_image(
    tmp_path: Path,
) -> None:
    of_podman = engine(
        tmp_path / "e", described(f"localhost/mine@{B}", f"localhost/mine@{A}", Digest=A)
    )
    found = find_in_engine(parse_image_name("mine:dev"), of_podman)
    assert found == FoundImage(
        repository="localhost/mine", manifest_digest=A, config_digest=C, by="podman"
    )
    assert (tmp_path / "e" / "asked").read_text() == "image inspect mine:dev\n"
    assert found.reference == f"localhost/mine@{A}"


def test_docker_leaves_out_names_and_tells_no_digest_of_its_own(tmp_path: Path) -> None:
    answer = described(f"python@{B}", f"other/python@{A}", Id=C)
    del answer["Digest"]
    found = find_in_engine(parse_image_name("python"), engine(tmp_path / "e", answer))
    assert found is not None
    assert found.reference == f"docker.io/library/python@{B}"
    assert found.config_digest is None


def test_an_image_that_no_cluster_could_name_is_refused_with_what_to_do(tmp_path: Path) -> None:
    name = parse_image_name("mine")
    with pytest.raises(ImageUnresolved, match="Push it to a registry"):
        find_in_engine(name, engine(tmp_path / "a", described()))
    with pytest.raises(ImageUnresolved, match=r"linux/s390x here.*build it for one of them"):
        find_in_engine(name, engine(tmp_path / "b", described(Architecture="s390x")))


def test_an_engine_that_fails_has_nothing(tmp_path: Path) -> None:
    name = parse_image_name("mine")
    assert find_in_engine(name, engine(tmp_path / "a", None)) is None
    assert find_in_engine(name, LocalEngine(name="gone", command=("/nonexistent",))) is None
    broken = engine(tmp_path / "b", described())
    (tmp_path / "b" / "answer.json").write_text("not json")
    assert find_in_engine(name, broken) is None


def test_another_engine_is_named_by_its_command() -> None:
    said = "env CONTAINERS_CONF=/x/c.conf '/usr/bin/podman' --root '/a b'"
    (found,) = local_engines({"ANIMUS_ENGINE": said})
    assert found.name == "podman"
    assert found.command[-2:] == ("--root", "/a b")
    for unfit in ("'", "   "):
        with pytest.raises(SettingsUnfit, match="ANIMUS_ENGINE is not a command"):
            local_engines({"ANIMUS_ENGINE": unfit})


def name_at(registry: TagRegistry, tag: str = "1") -> ImageName:
    return parse_image_name(f"{registry.host}/team/train:{tag}")


def test_a_registry_is_believed_about_bytes_and_not_about_digests(registry: TagRegistry) -> None:
    digest = registry.put("team/train:1", image_manifest(C))
    found = find_in_registry(name_at(registry))
    assert found == FoundImage(
        repository=f"{registry.host}/team/train",
        manifest_digest=digest,
        config_digest=C,
        by=f"the registry {registry.host}",
    )
    assert find_in_registry(name_at(registry, "absent")) is None


def test_of_several_platforms_the_one_that_runs_is_named(registry: TagRegistry) -> None:
    manifests = [
        {"digest": A, "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": B, "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": C, "platform": {"os": "unknown", "architecture": "unknown"}},
    ]
    index = registry.put("team/train:1", {"mediaType": INDEX, "manifests": manifests})
    found = find_in_registry(name_at(registry))
    assert found is not None
    assert (found.manifest_digest, found.index_digest) == (B, index)
    assert found.locked("main")["index_digest"] == index
    registry.put("team/train:1", {"mediaType": INDEX, "manifests": manifests[:1]})
    with pytest.raises(ImageUnresolved, match="none for linux/amd64"):
        find_in_registry(name_at(registry))


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b"{}", b"<html>", b'{"config": 1}', b'{"manifests": [1]}',
     json.dumps({"manifests": [{"platform": {"os": "linux", "architecture": "amd64"},
                                "digest": "sha256:x\x1b[2J"}]}).encode()],
)  # fmt: skip
def test_what_is_no_manifest_is_no_image(registry: TagRegistry, content: bytes) -> None:
    registry.put("team/train:1", content)
    with pytest.raises(ImageUnresolved, match="is no image at"):
        find_in_registry(name_at(registry))


def test_an_answer_without_end_is_not_read(registry: TagRegistry) -> None:
    registry.put("team/train:1", b" " * (5 * 1024 * 1024))
    with pytest.raises(ImageUnresolved, match="no manifest"):
        find_in_registry(name_at(registry))


def sign_in(home: Path, key: str) -> None:
    folder = home / ".docker"
    folder.mkdir(exist_ok=True)
    auth = basic().partition(" ")[2]
    (folder / "config.json").write_text(json.dumps({"auths": {key: {"auth": auth}}}))


@pytest.mark.parametrize("demands", ["Basic", "Bearer"])
def test_who_is_signed_in_with_docker_or_podman_is_signed_in_here(
    registry: TagRegistry, tmp_path: Path, demands: str
) -> None:
    registry.demands = demands
    digest = registry.put("team/train:1", image_manifest())
    with pytest.raises(ImageUnresolved, match=f"podman login {registry.host}"):
        find_in_registry(name_at(registry))
    sign_in(tmp_path, registry.host)
    found = find_in_registry(name_at(registry))
    assert found is not None
    assert found.manifest_digest == digest


def test_a_credential_goes_to_its_registry_and_after_no_redirect(
    registry: TagRegistry, tmp_path: Path
) -> None:
    registry.demands = "Basic"
    registry.put("team/train:1", image_manifest())
    sign_in(tmp_path, "other.example")
    with pytest.raises(ImageUnresolved):
        find_in_registry(name_at(registry))
    assert {authorization for _, authorization in registry.seen} == {None}
    sign_in(tmp_path, registry.host)
    registry.statuses["team/train:1"] = 307
    with pytest.raises(ImageUnresolved, match="answered 307"):
        find_in_registry(name_at(registry))


def test_a_token_service_without_tls_gets_no_credential(
    registry: TagRegistry, tmp_path: Path
) -> None:
    registry.demands, registry.realm = "Bearer", "ftp://elsewhere/\x1b[2Jtoken"
    sign_in(tmp_path, registry.host)
    with pytest.raises(ImageUnresolved, match="not https") as refused:
        find_in_registry(name_at(registry))
    assert "\x1b" not in refused.value.message
    assert PASSWORD not in refused.value.message


def test_credentials_are_found_where_podman_and_docker_keep_them(tmp_path: Path) -> None:
    auth = {"auth": basic().partition(" ")[2]}
    environment = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    for folder, key in [
        (tmp_path / "run" / "containers" / "auth.json", "images.example/team"),
        (tmp_path / ".docker" / "config.json", "https://index.docker.io/v1/"),
    ]:
        folder.parent.mkdir(parents=True)
        folder.write_text(json.dumps({"auths": {key: auth}}))
    for host, path in [("images.example", "team/train"), ("docker.io", "library/python")]:
        found = find_credential(host, path, environment=environment)
        assert found is not None
        assert (found.user, found.password) == (USER, PASSWORD)
        assert PASSWORD not in repr(found)
    assert find_credential("images.example", "others/train", environment=environment) is None
    assert find_credential("registry.example", "x", environment=environment) is None


@pytest.mark.parametrize(
    "document", ["", "[]", '{"auths": 1}', '{"auths": {"h.io": {"auth": "!"}}}',
                 '{"auths": {"h.io": {"auth": "YQ=="}}}', '{"credHelpers": {"h.io": "../x"}}',
                 '{"credHelpers": {"h.io": "absent-helper"}}'],
)  # fmt: skip
def test_a_file_that_says_nothing_useful_is_as_none(tmp_path: Path, document: str) -> None:
    (tmp_path / "auth.json").write_text(document)
    environment = {"HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
    assert find_credential("h.io", "x", environment=environment) is None


def test_a_credential_helper_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-pass"
    helper.write_text(
        '#!/bin/sh\n[ "$1" = get ] && [ "$(cat)" = h.io ] || exit 1\n'
        f'echo \'{{"Username": "{USER}", "Secret": "{PASSWORD}"}}\'\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "auth.json").write_text(json.dumps({"credHelpers": {"h.io": "pass"}}))
    environment = {"HOME": str(tmp_path), "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
    found = find_credential("h.io", "x", environment=environment)
    assert found is not None
    assert found.password == PASSWORD


def test_who_is_asked_first_depends_on_where_the_cluster_gets_images(
    registry: TagRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = registry.put("team/train:1", image_manifest())
    repository = f"{registry.host}/team/train"
    here = engine(tmp_path / "here", described(f"{repository}@{A}"))
    monkeypatch.setenv("ANIMUS_ENGINE", here.command[0])
    assert resolve_image(name_at(registry), pulls=True).manifest_digest == digest
    assert resolve_image(name_at(registry), pulls=False).manifest_digest == A
    nobody = engine(tmp_path / "nobody", None)
    monkeypatch.setenv("ANIMUS_ENGINE", nobody.command[0])
    assert resolve_image(name_at(registry), pulls=False).manifest_digest == digest


def test_an_image_that_is_nowhere_is_told_with_who_was_asked(registry: TagRegistry) -> None:
    name = name_at(registry)
    with pytest.raises(ImageNotFound) as absent:
        resolve_image(name, pulls=False)
    assert f"podman and the registry {registry.host} have none." in absent.value.message
    assert f"'podman pull {name.tagged}'" in absent.value.message


def test_without_a_network_the_engine_of_this_machine_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tag_registry() as gone:
        host = gone.host
    name = parse_image_name(f"{host}/team/train")
    with pytest.raises(Unreachable, match="does not answer"):
        find_in_registry(name)
    with pytest.raises(ImageNotFound, match=r"podman has none\. The registry .* does not answer"):
        resolve_image(name, pulls=True)
    here = engine(tmp_path / "here", described(f"{host}/team/train@{A}"))
    monkeypatch.setenv("ANIMUS_ENGINE", here.command[0])
    assert resolve_image(name, pulls=True).manifest_digest == A


def test_a_digest_is_asked_of_nobody(tmp_path: Path) -> None:
    found = resolve_image(parse_image_name(f"absent.invalid/x@{A}"), pulls=True)
    assert (found.reference, found.by) == (f"absent.invalid/x@{A}", "as written")
    assert (tmp_path / "asked").read_text() == ""
