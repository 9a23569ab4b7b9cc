"""How services are led, shown with small commands in place of the servers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from deploy.embedded import lives
from deploy.embedded.configuration import StackConfig
from deploy.embedded.control_plane import process_files
from deploy.embedded.errors import StackError
from deploy.embedded.layout import Layout
from deploy.embedded.lives import State
from deploy.embedded.ports import LOOPBACK, free_ports
from deploy.embedded.probes import names_its_pid
from deploy.embedded.processes import (
    ProcessRef,
    descendants_of,
    find_process,
    is_running,
    write_ref,
)
from deploy.embedded.services import Service
from deploy.embedded.stack import Stack
from tests.deploy.conftest import OpenStack
from tests.deploy.fakes import eventually, log_of, shell, sleeper, task


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "FIRST_PAUSE", 0.01)


def status_of(stack: Stack, name: str) -> lives.ServiceStatus:
    return next(status for status in stack.status() if status.name == name)


def process_of(stack: Stack, name: str) -> ProcessRef:
    process = find_process(stack.pid(name))
    assert process
    return process


def test_a_service_starts_only_when_what_it_needs_is_ready(open_stack: OpenStack) -> None:
    open_gate = [False]
    stack = open_stack(
        sleeper("store", is_ready=lambda _pid: open_gate[0]), sleeper("user", needs=("store",))
    )
    stack.begin(["user"])
    eventually(lambda: status_of(stack, "store").state is State.STARTING, stack=stack)
    assert status_of(stack, "user").state is State.WAITING
    assert status_of(stack, "user").pid is None
    open_gate[0] = True
    stack.start(["user"])
    assert status_of(stack, "user").state is State.READY


def test_naming_a_service_starts_what_it_needs_and_nothing_else(open_stack: OpenStack) -> None:
    stack = open_stack(sleeper("store"), sleeper("other"), sleeper("user", needs=("store",)))
    stack.start(["user"])
    states = {status.name: status.state for status in stack.status()}
    assert states == {"store": State.READY, "other": State.STOPPED, "user": State.READY}


def test_tasks_run_before_and_after_the_service(open_stack: OpenStack) -> None:
    log: list[Path] = []
    service = shell(
        "one",
        "echo serving; exec sleep 1000",
        before=(task("prepare", "echo before"),),
        is_ready=lambda _pid: "serving" in log[0].read_text(),
        after=(task("settle", "echo after"),),
    )
    stack = open_stack(service)
    log.append(stack.layout.log("one"))
    stack.start()
    assert log_of(stack, "one").split() == ["before", "serving", "after"]


def test_a_service_without_a_process_is_done_when_its_tasks_are(open_stack: OpenStack) -> None:
    stack = open_stack(Service(name="migrate", before=(task("migrate", "echo migrated"),)))
    stack.start()
    assert status_of(stack, "migrate").state is State.READY
    assert log_of(stack, "migrate") == "migrated\n"


def test_a_crashed_service_is_started_again(open_stack: OpenStack) -> None:
    stack = open_stack(sleeper("one"))
    stack.start()
    first = stack.pid("one")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: status_of(stack, "one").restarts == 1, stack=stack)
    stack.wait_ready("one")
    assert stack.pid("one") != first


def test_a_service_that_keeps_crashing_is_given_up_with_its_reason_and_log(
    open_stack: OpenStack,
) -> None:
    stack = open_stack(shell("one", "echo no such table; exit 3", is_ready=lambda _pid: False))
    with pytest.raises(StackError, match=r"exit code 3; gave up after 5 tries") as refused:
        stack.start()
    assert "no such table" in str(refused.value)
    assert status_of(stack, "one").state is State.FAILED
    assert log_of(stack, "one").count("no such table") == lives.QUICK_CRASHES


def test_a_failed_task_leaves_no_process_of_the_service_running(open_stack: OpenStack) -> None:
    service = shell("one", "echo started; exec sleep 1000", after=(task("settle", "exit 1"),))
    stack = open_stack(service)
    with pytest.raises(StackError, match="settle ended with exit code 1"):
        stack.start()
    assert sleepers_of_this_test() == []


def test_a_service_that_never_answers_is_ended(open_stack: OpenStack) -> None:
    stack = open_stack(sleeper("one", is_ready=lambda _pid: False, ready_within=0.05))
    with pytest.raises(StackError, match="did not get ready within 0 s"):
        stack.start()
    assert sleepers_of_this_test() == []


def test_kill_ends_children_that_left_the_process_group(open_stack: OpenStack) -> None:
    stack = open_stack(shell("one", "setsid sleep 1000 & setsid sleep 1000 & wait"))
    stack.start()
    leader = process_of(stack, "one")
    eventually(lambda: len(descendants_of(leader)) == 2)
    family = [leader, *descendants_of(leader)]
    stack.kill("one")
    assert not any(is_running(process) for process in family)
    assert status_of(stack, "one").state is State.STOPPED


def test_a_killed_service_stays_down_until_it_is_started(open_stack: OpenStack) -> None:
    stack = open_stack(sleeper("one"), sleeper("two"))
    stack.start()
    stack.kill("one")
    stack.start(["two"])
    assert status_of(stack, "one").pid is None
    stack.start(["one"])
    assert status_of(stack, "one").state is State.READY


def test_a_service_that_ignores_its_signal_is_killed(open_stack: OpenStack) -> None:
    deaf = shell("one", "trap '' TERM; echo deaf; sleep 1000 & wait; wait", stop_within=0.1)
    stack = open_stack(deaf)
    stack.start()
    eventually(lambda: "deaf" in log_of(stack, "one"))
    family = [process_of(stack, "one"), *descendants_of(process_of(stack, "one"))]
    stack.stop()
    assert not any(is_running(process) for process in family)


def test_services_stop_before_what_they_need(open_stack: OpenStack) -> None:
    script = "trap 'echo {name} >> order; exit' TERM; cd {data}; echo up; sleep 1000 & wait"
    stack = open_stack(sleeper("unused"))
    data = stack.layout.data("worker")
    stack.close()
    services = (
        shell("store", script.format(name="store", data=data)),
        shell("user", script.format(name="user", data=data), needs=("store",)),
    )
    second = open_stack(*services)
    second.start()
    eventually(lambda: all("up" in log_of(second, name) for name in ("store", "user")))
    second.stop()
    assert (data / "order").read_text().split() == ["user", "store"]


def test_a_taken_port_names_its_holder_and_the_setting(open_stack: OpenStack) -> None:
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        port = holder.getsockname()[1]
        stack = open_stack(sleeper("one", ports={"api": port}))
        with pytest.raises(StackError) as refused:
            stack.start()
    said = str(refused.value)
    assert f"Port {port} (api) is in use by" in said
    assert f"(pid {os.getpid()})" in said
    assert "ANIMUS_PORT_API" in said


def test_two_stacks_never_share_a_state(open_stack: OpenStack) -> None:
    first = open_stack(sleeper("one"))
    second = Stack(first.config, services=())
    with pytest.raises(StackError, match="A stack already runs on"):
        second.open()


def test_a_recycled_pid_is_never_ended(open_stack: OpenStack, tmp_path: Path) -> None:
    stack = open_stack(sleeper("one"))
    stack.close()
    with subprocess.Popen(["sleep", "1000"]) as innocent:
        now = find_process(innocent.pid)
        assert now
        earlier = ProcessRef(pid=now.pid, started=now.started - 1, boot=now.boot)
        write_ref(stack.layout.running / "one.json", earlier)
        again = open_stack(sleeper("one"))
        assert innocent.poll() is None
        assert not (again.layout.running / "one.json").exists()
        innocent.kill()


def test_what_a_dead_supervisor_left_is_ended_before_anything_starts(
    open_stack: OpenStack,
) -> None:
    stack = open_stack(sleeper("one"))
    stack.close()
    with subprocess.Popen(["sleep", "1000"]) as leftover:
        process = find_process(leftover.pid)
        assert process
        write_ref(stack.layout.running / "one.json", process)
        open_stack(sleeper("one"))
        assert leftover.poll() is not None


def test_a_foreign_directory_is_neither_used_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StackError, match="is not the state of a stack"):
        Stack(StackConfig(state=tmp_path, ports=free_ports()), services=()).open()
    with pytest.raises(StackError, match="nothing was deleted"):
        Layout(state=tmp_path).purge()
    assert (tmp_path / "thesis.tex").exists()


def sleepers_of_this_test() -> list[ProcessRef]:
    """What services here run. Servers of other tests may live below this process as well."""
    return [one for one in descendants_of(process_of_this_test()) if _sleeps(one)]


def _sleeps(process: ProcessRef) -> bool:
    try:
        return b"sleep" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    except OSError:  # gone meanwhile
        return False


def process_of_this_test() -> ProcessRef:
    process = find_process(os.getpid())
    assert process
    return process


def test_a_process_without_a_port_says_that_it_is_ready_in_its_file(
    open_stack: OpenStack,
) -> None:
    closed = open_stack()
    ready = process_files(closed.site).worker_ready
    closed.close()
    ready.write_text(str(os.getpid()))  # what some earlier process may have left
    stack = open_stack(
        shell("worker", f"echo $$ > {ready}; exec sleep 1000", is_ready=names_its_pid(ready))
    )
    assert ready.read_text() == ""
    stack.start()
    assert ready.read_text() == f"{stack.pid('worker')}\n"
