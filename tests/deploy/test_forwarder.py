"""The forwarder: one address, one network, bytes as they came, both ways until both have ended."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from deploy.embedded.configuration import CHECKOUT, StackConfig
from deploy.embedded.control_plane import describe_agent
from deploy.embedded.forwarding import describe_forwarders
from deploy.embedded.ports import LOOPBACK, free_ports
from deploy.embedded.stack import Stack
from tests.support.sockets import listening
from tests.support.waiting import PATIENCE

INSIDE = "127.0.0.2/8"
"""Another address of this machine, on a network that it is called from by itself."""
OUTSIDE = "127.0.0.2/32"
"""The same address; whoever calls it does so from outside of this network."""
POLL = 0.02
MIB = 1024**2


@contextmanager
def forwarder(pods_at: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "deploy.embedded.forwarder", pods_at, str(port)]
    with subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.PIPE) as process:
        try:
            wait_until_it_listens(process, pods_at, port)
            yield process
        finally:
            process.terminate()


def wait_until_it_listens(process: subprocess.Popen[bytes], pods_at: str, port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while not list(listening(process.pid)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(POLL)


@pytest.fixture
def backend() -> Iterator[socket.socket]:
    """A server on loopback; what it answers is the test's."""
    with socket.create_server((LOOPBACK, free_ports().api)) as server:
        server.settimeout(PATIENCE)
        yield server


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def call(port: int) -> socket.socket:
    return socket.create_connection((str(IPv4Interface(INSIDE).ip), port), timeout=PATIENCE)


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(MIB):
        parts.append(part)
    return b"".join(parts)


def test_bytes_pass_both_ways_and_an_answer_may_come_after_the_question_has_ended(
    backend: socket.socket,
) -> None:
    question, answer = b"q" * (8 * MIB), b"a" * (8 * MIB)
    heard = []

    def serve() -> None:
        with backend.accept()[0] as connection:
            heard.append(read_all(connection))
            connection.sendall(answer)

    with forwarder(INSIDE, port_of(backend)), call(port_of(backend)) as caller:
        serving = threading.Thread(target=serve)
        serving.start()
        caller.sendall(question)
        caller.shutdown(socket.SHUT_WR)
        assert read_all(caller) == answer
        serving.join()
    assert heard == [question]


def test_told_to_end_it_breaks_off_what_is_open_and_says_nothing(backend: socket.socket) -> None:
    with forwarder(INSIDE, port_of(backend)) as process, call(port_of(backend)) as caller:
        with backend.accept()[0]:
            process.terminate()
            with pytest.raises(ConnectionResetError):
                read_all(caller)
        assert process.wait(PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_it_listens_on_that_one_address(backend: socket.socket) -> None:
    with forwarder(INSIDE, port_of(backend)) as process:
        assert set(listening(process.pid)) == {"127.0.0.2"}


def test_a_caller_of_another_network_is_not_led_on(backend: socket.socket) -> None:
    with forwarder(OUTSIDE, port_of(backend)), call(port_of(backend)) as caller:
        assert read_all(caller) == b""
    backend.settimeout(0)
    with pytest.raises(BlockingIOError):
        backend.accept()


def test_who_calls_while_nobody_serves_is_told_and_the_next_one_is_served(
    backend: socket.socket,
) -> None:
    port = port_of(backend)
    with forwarder(INSIDE, port):
        backend.close()
        with pytest.raises(ConnectionResetError), call(port) as caller:
            read_all(caller)
        with socket.create_server((LOOPBACK, port)) as again, call(port) as caller:
            again.settimeout(PATIENCE)
            with again.accept()[0] as connection:
                connection.sendall(b"here")
            assert read_all(caller) == b"here"


def test_an_address_that_the_machine_has_not_is_explained() -> None:
    command = [sys.executable, "-m", "deploy.embedded.forwarder", "192.0.2.1/24", "9"]
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "make cluster-up" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_only_a_stack_whose_steps_are_pods_has_one_and_its_agent_waits_for_it(
    tmp_path: Path,
) -> None:
    plain = StackConfig(state=tmp_path / "plain", ports=free_ports())
    pods_at = IPv4Interface("10.244.0.1/24")
    for_pods = StackConfig(state=tmp_path / "pods", ports=free_ports(), pods_at=pods_at)
    assert StackConfig.from_json(for_pods.state, for_pods.to_json()) == for_pods
    for config, names in ((plain, []), (for_pods, ["forwarder"])):
        with Stack(config) as stack:
            assert [service.name for service in describe_forwarders(stack.site)] == names
            assert set(names) == {"forwarder"} & set(describe_agent(stack.site).needs)
            assert set(names) == {"forwarder"} & {each.name for each in stack.status()}
