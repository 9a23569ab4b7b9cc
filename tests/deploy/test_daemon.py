"""The supervisor in the background, with the two servers that start fastest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.embedded.configuration import CHECKOUT
from deploy.embedded.ports import Ports, free_ports, setting_of
from deploy.embedded.processes import ProcessRef, descendants_of, find_process, is_running
from tests.deploy.fakes import eventually, mount_points

pytestmark = pytest.mark.stack


@dataclass
class CommandLine:
    """`python -m deploy.embedded` on one state directory."""

    state: Path
    ports: Ports = field(default_factory=free_ports)

    def run(self, command: str, *arguments: str, code: int = 0) -> str:
        settings = {setting_of(name): str(port) for name, port in self.ports.as_dict().items()}
        program = [sys.executable, "-m", "deploy.embedded", command]
        ran = subprocess.run(
            [*program, "--state", str(self.state), *arguments],
            cwd=CHECKOUT,
            env=os.environ | settings,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == code, ran.stderr
        return ran.stdout + ran.stderr

    def up(self) -> None:
        self.run("up", "--only", "postgres,object-store")

    def status(self) -> dict[str, dict[str, Any]]:
        told = json.loads(self.run("status", "--json"))
        return {service["name"]: service for service in told["services"]}

    def supervisor(self) -> ProcessRef:
        return ProcessRef(**json.loads((self.state / "run" / "supervisor.json").read_text()))

    def query(self, statement: str) -> object:
        password = (self.state / "secrets" / "postgres_password").read_text()
        url = f"postgresql://postgres:{password}@127.0.0.1:{self.ports.postgres}/postgres"
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchone() if cursor.description else None


@pytest.fixture
def stack(tmp_path: Path, built_servers: None) -> Iterator[CommandLine]:
    stack = CommandLine(state=tmp_path / "state")
    yield stack
    stack.run("down")


def test_down_leaves_no_process_and_no_mount_and_keeps_the_data(stack: CommandLine) -> None:
    stack.up()
    stack.query("CREATE TABLE kept AS SELECT 42 AS answer")
    family = [stack.supervisor(), *descendants_of(stack.supervisor())]
    assert len(family) > 3
    stack.run("down")
    assert not any(is_running(process) for process in family)
    assert not any(point.startswith(str(stack.state)) for point in mount_points())
    assert list((stack.state / "run").iterdir()) == []
    assert "no stack runs" in stack.run("status", code=3)
    stack.up()
    assert stack.query("SELECT answer FROM kept") == (42,)


def test_purge_deletes_everything(stack: CommandLine) -> None:
    stack.up()
    stack.run("down", "--purge")
    assert not stack.state.exists()


def test_a_second_up_joins_the_running_stack(stack: CommandLine) -> None:
    stack.up()
    before = stack.status()
    stack.up()
    assert stack.status() == before
    said = stack.run("up", "--only", "temporal", code=1)
    assert "runs on" in said
    assert "without temporal" in said


def test_a_crashed_server_comes_back_and_status_says_so(stack: CommandLine) -> None:
    stack.up()
    crashed = stack.status()["object-store"]
    assert crashed["restarts"] == 0
    os.kill(crashed["pid"], signal.SIGKILL)
    eventually(lambda: _restarted(stack))
    assert stack.status()["object-store"]["pid"] != crashed["pid"]


def _restarted(stack: CommandLine) -> bool:
    told = json.loads((stack.state / "status.json").read_text())
    return any(service["restarts"] == 1 and service["state"] == "ready" for service in told)


def test_a_killed_supervisor_leaves_no_orphan_and_up_recovers(stack: CommandLine) -> None:
    stack.up()
    stack.query("CREATE TABLE kept AS SELECT 42 AS answer")
    supervisor = stack.supervisor()
    family = descendants_of(supervisor)
    os.kill(supervisor.pid, signal.SIGKILL)
    eventually(lambda: not any(is_running(process) for process in family))
    assert "no stack runs" in stack.run("status", code=3)
    stack.up()
    assert stack.query("SELECT answer FROM kept") == (42,)
    assert find_process(stack.supervisor().pid) == stack.supervisor() != supervisor


def test_a_taken_port_is_said_by_up_and_nothing_stays_behind(
    stack: CommandLine, tmp_path: Path
) -> None:
    stack.up()
    other = CommandLine(state=tmp_path / "other", ports=stack.ports)
    said = other.run("up", "--only", "object-store", code=1)
    port = stack.ports.object_store
    assert f"Port {port} (object_store) is in use by versitygw (pid" in said
    assert "ANIMUS_PORT_OBJECT_STORE" in said
    assert "no stack runs" in other.run("status", code=3)


def test_a_person_reads_status_and_logs(stack: CommandLine) -> None:
    stack.up()
    assert f"127.0.0.1:{stack.ports.postgres}" in stack.run("status")
    assert "ready to accept connections" in stack.run("logs", "postgres")
