"""How servers get into the cache, with a small program in place of Go."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from deploy.embedded import building, toolchain
from deploy.embedded.building import advice_for, build_servers, check_space
from deploy.embedded.configuration import CHECKOUT
from deploy.embedded.console import Console
from deploy.embedded.errors import BuildFailed
from deploy.embedded.servers import (
    GVISOR,
    OBJECT_STORE,
    SERVERS,
    TEMPORAL,
    Server,
    is_built,
    program_path,
)
from deploy.embedded.temporal_schemas import without_btree_gin
from deploy.embedded.toolchain import parse_version, required_version

FAKE_GO = """#!/bin/sh
[ "$1" = env ] && [ "$2" = GOVERSION ] && echo "go${FAKE_VERSION:-1.99.0}" && exit
[ "$1" = env ] && echo /tmp && exit
echo "$@" >> "$FAKE_LOG"
echo "go: downloading example.org v1" >&2
[ -n "$FAKE_FAILURE" ] && { echo "$FAKE_FAILURE" >&2; exit 1; }
while [ "$1" != -o ]; do shift; done
echo program > "$2"
"""


@pytest.fixture
def go_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a `go` first on PATH that makes programs out of nothing; returns its log."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "go").write_text(FAKE_GO)
    (tools / "go").chmod(0o755)
    log = tmp_path / "go.log"
    log.touch()
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_LOG", str(log))
    monkeypatch.setattr(building, "NEEDED_SPACE", 0)
    return log


def build(cache: Path, *servers: Server) -> str:
    said = io.StringIO()
    build_servers(console=Console(said), servers=servers or [OBJECT_STORE], cache=cache)
    return said.getvalue()


def test_a_built_server_is_not_built_again(go_log: Path, tmp_path: Path) -> None:
    assert "building versitygw: done" in build(tmp_path)
    assert is_built(OBJECT_STORE, cache=tmp_path)
    assert build(tmp_path) == ""
    assert len(go_log.read_text().splitlines()) == 1


def test_a_cached_server_needs_no_go(
    go_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert build(tmp_path) == ""


def test_two_builds_at_once_build_once(go_log: Path, tmp_path: Path) -> None:
    builders = [threading.Thread(target=build, args=(tmp_path,)) for _ in range(4)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert len(go_log.read_text().splitlines()) == 1


def test_a_failed_build_leaves_no_program_and_says_what_to_do(
    go_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAILURE", "dial tcp: lookup proxy: no such host")
    with pytest.raises(BuildFailed, match="GOPROXY") as refused:
        build(tmp_path)
    assert "no such host" in str(refused.value)
    assert not is_built(OBJECT_STORE, cache=tmp_path)
    assert list((tmp_path / "servers").glob(".*")) == []
    monkeypatch.delenv("FAKE_FAILURE")
    build(tmp_path)
    assert is_built(OBJECT_STORE, cache=tmp_path)


@pytest.mark.parametrize("reason", ["FAKE_FAILURE", "PATH"])
def test_the_stack_goes_on_without_gvisor_and_says_why(
    go_log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    build(tmp_path)
    failed = "no such host"
    monkeypatch.setattr(toolchain, "REQUIREMENTS", tmp_path / failed)
    monkeypatch.setenv(reason, failed)
    (tmp_path / failed).write_text("no-such-thing")
    said = build(tmp_path, OBJECT_STORE, GVISOR)
    assert "going on without gvisor" in said
    assert not is_built(GVISOR, cache=tmp_path)


def test_the_pins_decide_the_place_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = OBJECT_STORE.key()
    sources = tmp_path / "servers"
    shutil.copytree(OBJECT_STORE.source, sources / OBJECT_STORE.name)
    monkeypatch.setattr("deploy.embedded.servers.SOURCES", sources)
    assert OBJECT_STORE.key() == before
    with (OBJECT_STORE.source / "go.sum").open("a") as pins:
        pins.write("example.org v1.0.0 h1:other=\n")
    assert OBJECT_STORE.key() != before


def test_a_full_disk_is_said_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=r"needs 1073741824 GiB .* are free\. Free some space"):
        check_space(tmp_path / "not" / "yet", needed=2**60)


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("verifying x: checksum mismatch", "other bytes than go.sum pins"),
        ("write /tmp/x: no space left on device", "disk is full"),
        ("tls: failed to verify certificate: x509: unknown authority", "CA"),
        ("proxyconnect tcp: dial tcp 10.0.0.1:3128: connect: connection refused", "HTTPS_PROXY"),
        ("compile: signal: killed", "out of memory"),
        ("something else", "send the log"),
    ],
)
def test_each_known_failure_has_its_advice(line: str, advice: str) -> None:
    assert advice in advice_for(["go: downloading x", line])


def test_go_must_be_as_new_as_the_pins_ask() -> None:
    assert required_version(SERVERS) == parse_version("go1.26.4")
    assert parse_version("go1.26.10") > parse_version("1.26.4") > parse_version("go1.26")
    assert parse_version("devel +abc") < parse_version("go1.0")


def test_every_server_has_its_sums_and_one_tool_line_for_each_program() -> None:
    for server in SERVERS:
        pins = (server.source / "go.mod").read_text()
        assert (server.source / "go.sum").stat().st_size > 0
        assert all(program.package in pins for program in server.programs)


@pytest.mark.stack
def test_temporals_schema_does_without_the_extension_and_loses_no_index(
    built_servers: None,
) -> None:
    files = sorted(program_path(TEMPORAL, "visibility-schema").rglob("*.sql"))
    originals = "".join(file.read_text() for file in files)
    changed = "".join(without_btree_gin(file.read_text()) for file in files)
    assert "btree_gin" in originals
    assert "btree_gin" not in changed
    assert "GIN (namespace_id" not in changed
    assert changed.count("CREATE INDEX") == originals.count("CREATE INDEX")
    assert changed.count("CREATE FUNCTION") == originals.count("CREATE FUNCTION")


def test_the_command_line_explains_itself() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "deploy.embedded", "--help"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert all(command in told for command in ("build", "up", "down", "status", "logs"))
