"""Which ports a stack takes, and how they are changed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deploy.embedded.configuration import CHECKOUT
from deploy.embedded.errors import StackError
from deploy.embedded.ports import FREE_RANGE, Ports, free_ports

_PRINT_FREE_PORTS = """
from deploy.embedded.ports import free_ports
print(*free_ports().as_dict().values(), flush=True)
input()
"""


def test_a_setting_changes_one_port() -> None:
    ports = Ports().overridden({"ANIMUS_PORT_API": "18080", "ANIMUS_PORT_POSTGRES": ""})
    assert ports.api == 18080
    assert ports.postgres == Ports().postgres


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "٣"])
def test_a_setting_that_is_no_port_is_refused_by_name(text: str) -> None:
    with pytest.raises(StackError, match="ANIMUS_PORT_API is"):
        Ports().overridden({"ANIMUS_PORT_API": text})


def test_no_two_ports_of_a_stack_are_the_same() -> None:
    defaults = Ports().as_dict().values()
    assert len(set(defaults)) == len(defaults)


def test_free_ports_are_free_in_all_processes_at_once() -> None:
    taken = list(free_ports().as_dict().values())
    with (
        _process_with_free_ports() as one,
        _process_with_free_ports() as other,
    ):
        for process in (one, other):
            assert process.stdout
            taken += [int(port) for port in process.stdout.readline().split()]
        for process in (one, other):
            process.communicate("\n")
    assert len(taken) == len(set(taken)) == 3 * len(Ports().as_dict())
    assert all(port in FREE_RANGE for port in taken)


def _process_with_free_ports() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _PRINT_FREE_PORTS],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
