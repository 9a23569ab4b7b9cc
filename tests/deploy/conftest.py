"""Stacks for tests: each on its own free ports, below a temporary directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deploy.embedded.building import build_servers
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.ports import free_ports
from deploy.embedded.services import Service
from deploy.embedded.stack import Stack

OpenStack = Callable[..., Stack]


@pytest.fixture
def open_stack(tmp_path: Path) -> Iterator[OpenStack]:
    """Opens stacks of the given services, and closes them after the test."""
    with ExitStack() as stacks:

        def open_one(*services: Service, state: str = "state") -> Stack:
            config = StackConfig(state=tmp_path / state, ports=free_ports())
            return stacks.enter_context(Stack(config, services=services))

        yield open_one


@pytest.fixture(scope="session")
def built_servers() -> None:
    """The real servers are in the cache (built now if they are not)."""
    build_servers(console=Console())


@pytest.fixture(scope="module")
def servers(built_servers: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The four real servers, ready."""
    config = StackConfig(state=tmp_path_factory.mktemp("servers") / "state", ports=free_ports())
    with Stack(config) as stack:
        stack.start(["temporal-ui", "object-store"])
        yield stack
