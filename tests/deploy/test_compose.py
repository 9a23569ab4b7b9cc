"""The compose file names what exists, pins it, and keeps secrets apart. (No Docker is needed.)"""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.embedded import compose_settings
from deploy.embedded.catalogue import ALL_NAMES
from deploy.embedded.configuration import CHECKOUT
from deploy.embedded.notification_settings import PREFIX, names

PINNED = re.compile(r"^[a-z0-9./-]+:v?\d+\.\d+[\w.-]*$")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    document = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    return dict(document["services"])


@pytest.fixture
def volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the service `settings` writes, below one directory."""
    monkeypatch.setattr(compose_settings, "VOLUMES", tmp_path / "animus")
    monkeypatch.setattr(compose_settings, "AGENT_HOME", tmp_path / "agent-home")
    (tmp_path / "animus").mkdir()
    compose_settings.main()
    return tmp_path / "animus"


def test_every_service_of_the_embedded_stack_is_there(services: dict[str, Any]) -> None:
    assert services.keys() >= set(ALL_NAMES)


def test_every_image_is_pinned_to_a_version(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert PINNED.match(service["image"]), f"{name}: {service['image']}"


def test_the_versions_are_those_of_the_embedded_stack(services: dict[str, Any]) -> None:
    for name, module in {
        "temporal": "go.temporal.io/server",
        "temporal-ui": "github.com/temporalio/ui-server/v2",
        "object-store": "github.com/versity/versitygw",
    }.items():
        pins = (CHECKOUT / "deploy" / "embedded" / "servers" / name / "go.mod").read_text()
        version = services[name]["image"].rpartition(":")[2].removeprefix("v")
        assert f"{module} v{version}" in pins


def test_what_is_built_exists(services: dict[str, Any]) -> None:
    built = [service["build"] for service in services.values() if "build" in service]
    assert built
    for build in built:
        dockerfile = CHECKOUT / build["context"] / build["dockerfile"]
        assert f" AS {build['target']}\n" in dockerfile.read_text()
        for source in re.findall(r"^COPY (?!--from)(\S+) ", dockerfile.read_text(), re.MULTILINE):
            assert (CHECKOUT / source).exists(), source


def test_the_base_images_are_pinned() -> None:
    text = (CHECKOUT / "deploy" / "images" / "server.Dockerfile").read_text()
    stages = {stage for _, stage in re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE)}
    for base, _ in re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE):
        assert base in stages or PINNED.match(base), base
    assert "--require-hashes" in text


def test_mounted_files_and_volumes_exist(services: dict[str, Any]) -> None:
    document = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())
    named = set(document["volumes"])
    for service in services.values():
        for volume in service.get("volumes", ()):
            source = _source(volume)
            assert source in named or source.startswith("/") or (CHECKOUT / source).exists(), source


def test_every_dependency_exists_and_is_no_circle(services: dict[str, Any]) -> None:
    needs = {name: set(service.get("depends_on", ())) for name, service in services.items()}
    while needs:
        free = {name for name, left in needs.items() if not left}
        assert free, f"these wait for each other: {sorted(needs)}"
        needs = {name: left - free for name, left in needs.items() if name not in free}


def test_everything_is_published_on_loopback_alone(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_secret_is_in_the_file_and_only_its_reader_mounts_one(services: dict[str, Any]) -> None:
    for name, service in services.items():
        environment = service.get("environment", {})
        assert not [key for key in environment if re.search("PASSWORD$|SECRET|PWD", key)]
        mounted = {_source(volume) for volume in service.get("volumes", ())}
        if name != "settings":
            assert "secrets" not in mounted
            assert len([source for source in mounted if source.endswith("-settings")]) <= 1


def test_the_worker_alone_is_told_how_to_tell_people_and_only_what_is_set(
    services: dict[str, Any],
) -> None:
    told = {
        name: {one: said for one, said in service.get("environment", {}).items() if PREFIX in one}
        for name, service in services.items()
    }
    assert told.pop("worker") == dict.fromkeys(names())  # no value: the host's, if it has one
    assert not any(told.values())
    (folder,) = [one for one in services["worker"]["volumes"] if "NOTIFICATIONS_FOLDER" in one]
    assert folder.endswith(":/animus/notifications:ro")


def _source(volume: str) -> str:
    """With what a variable stands for where it is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).split(":")[0]


def test_each_reader_finds_its_own_settings_and_no_more(volumes: Path) -> None:
    api = tomllib.loads((volumes / "api" / "api.toml").read_text())
    agent = tomllib.loads((volumes / "agent" / "agent.toml").read_text())
    assert api.keys() == {"api", "database", "object_store"}
    assert agent.keys() == {"agent", "temporal"}
    assert api["object_store"]["endpoint"] == "http://object-store:7070"
    assert [file.name for file in (volumes / "api").iterdir()] == ["api.toml"]
    password = (volumes / "databases" / "postgres_password").read_text()
    migrate = tomllib.loads((volumes / "migrate" / "migrate.toml").read_text())
    assert migrate["database"]["url"] == f"postgresql://postgres:{password}@postgres:5432/animus"


def test_what_is_written_is_private_and_but_for_tokens_the_same_next_time(volumes: Path) -> None:
    files = [path for path in volumes.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    kept = [path for path in files if not path.name.endswith("token")]
    before = {path: path.read_bytes() for path in kept}
    compose_settings.main()
    assert {path: path.read_bytes() for path in kept} == before
