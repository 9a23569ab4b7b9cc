"""Several api processes share a socket, and none outlives the first."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from deploy.embedded.configuration import StackConfig
from deploy.embedded.ports import can_listen, free_ports
from deploy.embedded.processes import descendants_of, find_process
from deploy.embedded.stack import Stack
from tests.deploy.fakes import eventually

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
        eventually(lambda: can_listen(stack.config.ports.api))
        eventually(lambda: _answers(stack), stack=stack)


def _answers(stack: Stack) -> bool:
    try:
        return httpx.get(f"{stack.site.addresses.api}/healthz", trust_env=False).is_success
    except httpx.TransportError:
        return False
