"""Several api processes share a socket, and none outlives the first."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from deploy.embedded.configuration import StackConfig
from deploy.embedded.ports import free_ports
from deploy.embedded.processes import descendants_of, find_process
from deploy.embedded.stack import Stack
from tests.deploy.fakes import PATIENCE

pytestmark = pytest.mark.stack


def test_the_socket_is_free_again_when_the_first_process_was_killed(
    built_servers: None, tmp_path: Path
) -> None:
    config = StackConfig(state=tmp_path / "state", ports=free_ports())
    with Stack(replace(config, overrides={"api": {"api": {"workers": 3}}})) as stack:
        stack.start(["api"])
        first = find_process(stack.pid("api"))
        assert first is not None
        assert len(descendants_of(first)) >= 2
        os.kill(first.pid, signal.SIGKILL)
        _until(lambda: _is_free(stack.config.ports.api))
        _until(lambda: _answers(stack))


def _until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def _answers(stack: Stack) -> bool:
    stack.tick()  # as its supervisor does, which starts it again
    try:
        return httpx.get(f"{stack.site.addresses.api}/healthz", trust_env=False).is_success
    except httpx.TransportError:
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
