"""An unprivileged service below directories that only root may enter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.accounts import Account, Identity
from deploy.embedded.configuration import CHECKOUT
from deploy.embedded.confinement import confined, view_for
from deploy.embedded.ports import free_ports, setting_of
from deploy.embedded.servers import SERVERS, program_path
from tests.deploy.conftest import OpenStack
from tests.deploy.fakes import eventually, log_of, mount_points, shell

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts services as others")

STRANGER = Identity(name="nobody", uid=65534, gid=65534)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory below /tmp itself: pytest's own temporary directories are closed already."""
    place = Path(tmp_path.parts[0], tmp_path.parts[1], f"animus-{tmp_path.name}-{os.getpid()}")
    place.mkdir(mode=0o755)
    yield place
    shutil.rmtree(place)


def make_closed(*directories: Path) -> None:
    for directory in directories:
        directory.mkdir(mode=0o700)


def read_as_stranger(view_of: list[Path], path: Path) -> subprocess.CompletedProcess[str]:
    """What `cat` says to the unprivileged user in the view made for `view_of`."""
    drop = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--")
    command = confined((*drop, "cat", str(path)), view_for(STRANGER, view_of))
    return subprocess.run(command, capture_output=True, text=True)


def test_an_open_path_needs_no_view(place: Path) -> None:
    assert view_for(STRANGER, [place]) == ()


def test_what_is_needed_is_reached_through_closed_directories(place: Path) -> None:
    make_closed(place / "home", place / "home" / "cache")
    (place / "home" / "cache" / "tools").mkdir()
    wanted = place / "home" / "cache" / "tools" / "program"
    wanted.write_text("reached")
    assert read_as_stranger([], wanted).returncode != 0
    assert read_as_stranger([wanted.parent], wanted).stdout == "reached"


def test_what_is_not_needed_stays_hidden(place: Path) -> None:
    make_closed(place / "home")
    (place / "home" / "tools").mkdir()
    secret = place / "home" / "secret"
    secret.write_text("mine")
    assert "No such file" in read_as_stranger([place / "home" / "tools"], secret).stderr


def test_a_closed_directory_that_is_needed_itself_is_opened_one_level_deep(place: Path) -> None:
    checkout = place / "checkout"
    make_closed(checkout, checkout / "private")
    (checkout / "file").write_text("code")
    (checkout / "private" / "file").write_text("mine")
    assert read_as_stranger([checkout], checkout / "file").stdout == "code"
    assert read_as_stranger([checkout], checkout / "private" / "file").returncode != 0


def test_something_needed_deep_in_a_closed_checkout_is_reached(place: Path) -> None:
    checkout = place / "checkout"
    make_closed(checkout, checkout / ".animus")
    state = checkout / ".animus" / "stack"
    state.mkdir()
    (state / "file").write_text("state")
    assert read_as_stranger([checkout, state], state / "file").stdout == "state"


def test_symbolic_links_on_the_way_are_kept(place: Path) -> None:
    make_closed(place / "home")
    real = place / "home" / "versions" / "3.12.1"
    real.mkdir(parents=True)
    (real / "python").write_text("python")
    (place / "home" / "versions" / "3.12").symlink_to("3.12.1")
    (place / "home" / "current").symlink_to(place / "home" / "versions" / "3.12")
    by_link = place / "home" / "current" / "python"
    assert read_as_stranger([by_link], by_link).stdout == "python"
    assert read_as_stranger([real, by_link.parent], by_link).stdout == "python"


def test_the_machine_sees_no_mount_of_a_service_and_no_changed_mode(
    open_stack: OpenStack,
) -> None:
    """A stack below pytest's own directory, which only root may enter."""
    stack = open_stack(shell("one", "cat /proc/self/mountinfo; exec sleep 1000"))
    services = stack.site.accounts.owner_of(Account.SERVICES)
    steps = view_for(services, [stack.layout.state])
    closed = Path(next(step[1] for step in steps if step[0] == "cover"))
    before = closed.stat().st_mode
    stack.start()
    eventually(lambda: f" {closed} " in log_of(stack, "one"))
    assert mount_points().isdisjoint(step[1] for step in steps)
    assert closed.stat().st_mode == before


@pytest.mark.stack
def test_the_stack_runs_from_a_checkout_with_state_and_cache_below_closed_directories(
    place: Path, built_servers: None
) -> None:
    home = place / "home"
    make_closed(home)
    checkout = home / "checkout"
    shutil.copytree(CHECKOUT / "deploy", checkout / "deploy")
    checkout.chmod(0o700)
    make_closed(home / ".cache")
    for server in SERVERS:
        built = program_path(server, "")
        shutil.copytree(built, program_path(server, "", cache=home / ".cache" / "animus"))
    ports = {setting_of(name): str(port) for name, port in free_ports().as_dict().items()}
    environment = os.environ | ports | {"XDG_CACHE_HOME": str(home / ".cache")}

    def stack(*command: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "deploy.embedded", *command],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    try:
        stack("up", "--only", "postgres,object-store")
        status = stack("status")
        assert status.count("ready") == 2
        pids = [int(line.split("pid ")[1].split()[0]) for line in status.splitlines()]
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in pids} != {0}
    finally:
        stack("down", "--purge")
    assert not (checkout / ".animus" / "stack").exists()
