"""The launcher as process 1 of a PID namespace: what a step's code can do beside it, and not.

Most tests make the namespace with `unshare` (a millisecond), one with the engine and the image.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from animus_sdk.step import mains

from deploy.embedded.console import Console
from deploy.embedded.engine import get_engine
from deploy.images.builds import ensure_image, images_home, obtain_launcher
from deploy.images.definitions import DEMO, LAUNCHER, STEP, STEP_USER
from deploy.images.loading import provide
from deploy.images.packages import PackageKind
from deploy.images.parts import Part, Workshop
from tests.support.waiting import PATIENCE

PYTHON = "/usr/bin/python3"
"""Which every user reaches, where an environment in a home directory is closed."""

USER = 43_210
"""Of nobody else, so that a limit of processes counts this test's own."""

HARDENED = (
    *("--rm", "--pull=never", "--network=none", "--read-only", "--cap-drop=all"),
    *("--security-opt=no-new-privileges", "--memory=128m", "--memory-swap=128m"),
    *("--pids-limit=64", "--tmpfs=/tmp:rw,nosuid,nodev,size=16m", f"--user={STEP_USER}"),
)
DIES = 128 + signal.SIGKILL
"""What a shell says of a command that got a SIGKILL."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes PID namespaces")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    code: int
    message: dict[str, Any]
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A place to run the launcher in, with a file for its message."""

    launcher: Path
    message: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *command: str, seconds: int = 60, options: Sequence[str] = ()) -> Ended:
        process = self.start(*command, seconds=seconds, options=options)
        out, err = process.communicate(timeout=PATIENCE)
        return Ended(code=process.returncode, message=self.read_message(), out=out, err=err)

    def start(
        self,
        *command: str,
        seconds: int = 60,
        options: Sequence[str] = (),
        limits: Sequence[str] = (),
        **how: Any,  # as Popen takes it
    ) -> subprocess.Popen[str]:
        self.message.write_text("what somebody left")
        self.message.chmod(0o666)
        streams = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        launch = [str(self.launcher), "--message", str(self.message), "--seconds", str(seconds)]
        process = subprocess.Popen(
            [*NAMESPACE, *limits, *launch, *options, "--", *command], text=True, **(streams | how)
        )
        self.started.append(process)
        return process

    def read_message(self) -> dict[str, Any]:
        content = self.message.read_bytes()
        assert len(content) <= 1024
        message: dict[str, Any] = json.loads(content)
        return message


NAMESPACE = (
    *("/usr/bin/env", "--default-signal"),  # a shell ignores some for what it runs aside
    *("/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc"),
    *("--setgid", str(USER), "--setuid", str(USER)),
)


@pytest.fixture(scope="module")
def part() -> Part:
    console = Console(io.StringIO(), terminal=False)
    return obtain_launcher(Workshop(home=images_home(None), console=console))


@pytest.fixture(scope="module")
def launcher(part: Part, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program from the image's layer."""
    folder = tmp_path_factory.mktemp("launcher")
    with tarfile.open(part.layer.tar) as archive:
        archive.extractall(folder)
    return folder / LAUNCHER


@pytest.fixture
def pod(launcher: Path) -> Iterator[Pod]:
    """In a directory that others may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="animus-launcher.") as path:
        folder = Path(path)
        folder.chmod(0o755)
        pod = Pod(launcher=Path(shutil.copy2(launcher, folder)), message=folder / "message")
        yield pod
        for process in pod.started:
            process.kill()
            process.communicate()


# Ends


@needs_root
@pytest.mark.parametrize("code", [0, 7, 255])
def test_the_commands_exit_code_is_passed_on(pod: Pod, code: int) -> None:
    ended = pod.run("sh", "-c", f"echo out; echo err >&2; exit {code}")
    assert (ended.code, ended.out, ended.err) == (code, "out\n", "err\n")
    assert list(ended.message) == [
        *("ended", "cpu_milliseconds", "peak_memory_bytes", "started_at", "finished_at")
    ]
    assert ended.message["ended"] == "exited"
    times = [ended.message["started_at"], ended.message["finished_at"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each) for each in times)
    assert datetime.fromisoformat(times[0]) <= datetime.fromisoformat(times[1])


@needs_root
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_a_signal_is_told_as_a_shell_tells_it(pod: Pod, number: signal.Signals) -> None:
    ended = pod.run("sh", "-c", f"kill -{int(number)} $$")
    assert (ended.code, ended.message["ended"]) == (128 + number, "signaled")


@needs_root
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("no-such-command", 127),
        ("/no/such/command", 127),
        ("", 127),
        ("/etc/passwd/x", 127),
        ("/etc/passwd", 126),
        ("/etc", 126),
        ("./text", 126),
        ("text", 126),
    ],
)
def test_what_cannot_be_started_is_told_as_a_shell_tells_it(
    pod: Pod, command: str, code: int
) -> None:
    folder = pod.message.parent
    for name, mode in (("text", 0o644), ("other", 0o755)):
        (folder / name).write_text("no program")
        (folder / name).chmod(mode)
    process = pod.start(command, cwd=folder, env={"PATH": f"/nowhere:{folder}:/usr/bin"})
    err = process.communicate(timeout=PATIENCE)[1]
    assert (process.returncode, pod.read_message()["ended"]) == (code, "not_started")
    assert err.startswith("launch: ")


@needs_root
def test_a_command_is_found_as_a_shell_finds_it(pod: Pod) -> None:
    """The first that may be executed: neither a directory nor a file without that right."""
    folder = pod.message.parent
    for name in ("1", "2", "3"):
        (folder / name).mkdir()
    (folder / "1" / "train").mkdir()
    (folder / "2" / "train").write_text("closed")
    (folder / "3" / "train").write_text("#!/bin/sh\necho $0\n")
    (folder / "3" / "train").chmod(0o755)
    for path, cwd, said in (("1:2:3", folder, "3/train"), ("1:", folder / "3", "./train")):
        process = pod.start("train", cwd=cwd, env={"PATH": path})
        assert process.communicate(timeout=PATIENCE)[0] == f"{said}\n"


# Time and signals

STUBBORN = """
import os, signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        os.fork()
os.write(1, b"begun\\n")  # whole: all of them write
while True:
    time.sleep(1000)
"""


@needs_root
def test_when_its_time_is_over_nothing_of_a_step_is_left(pod: Pod) -> None:
    """Whoever lived would hold the streams, and the test would wait for it."""
    ended = pod.run(PYTHON, "-c", STUBBORN, seconds=1)
    assert (ended.code, ended.message["ended"]) == (DIES, "timed_out")


@needs_root
def test_a_step_that_ends_ends_with_all_it_started(pod: Pod) -> None:
    ended = pod.run("sh", "-c", f"{PYTHON} -c '{STUBBORN}' & read begun < /dev/null; exit 3")
    assert (ended.code, ended.message["ended"]) == (3, "exited")


@needs_root
def test_signals_reach_the_step_and_its_children(pod: Pod) -> None:
    child = "trap 'echo child; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
    traps = "trap 'echo usr1' USR1; trap 'echo term; wait; exit 9' TERM"
    process = pod.start("sh", "-c", f'{traps}; sh -c "{child}" & while :; do sleep 0.01; done')
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(_first(process), signal.SIGTERM)
    out, _ = process.communicate(timeout=PATIENCE)
    assert sorted(out.split()) == ["child", "term"]
    assert (process.returncode, pod.read_message()["ended"]) == (9, "exited")


@needs_root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_other_signals_are_forwarded_as_well(pod: Pod, number: signal.Signals) -> None:
    process = pod.start(PYTHON, "-c", "print(1, flush=True); import time; time.sleep(1000)")
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    os.kill(_first(process), number)
    process.communicate(timeout=PATIENCE)
    assert process.returncode in (1, 128 + number)  # python turns SIGINT into an exception
    assert pod.read_message()["ended"] in ("exited", "signaled")


@needs_root
def test_a_step_that_ignores_sigterm_is_killed_after_its_grace(pod: Pod) -> None:
    process = pod.start(PYTHON, "-c", STUBBORN, options=["--grace", "1"])
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    os.kill(_first(process), signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert (process.returncode, pod.read_message()["ended"]) == (DIES, "signaled")


@needs_root
def test_orphans_are_reaped_while_the_step_runs(pod: Pod) -> None:
    program = """
import os, pathlib, time
for _ in range(100):
    if (child := os.fork()) == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.waitpid(child, 0)
def states():
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            yield path.read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            pass
deadline = time.monotonic() + 60
while "Z" in set(states()):
    assert time.monotonic() < deadline
print(len(list(states())))
"""
    ended = pod.run(PYTHON, "-c", program)
    assert (ended.code, ended.out) == (0, "2\n")


# Hostile steps

FORGING = """
import os, sys
if os.fork() == 0:
    os.setsid()
    print("forging", flush=True)
    while True:
        with open(sys.argv[1], "r+") as file:
            file.write('{"ended":"exited","cpu_milliseconds":0}' + " " * 5000)
sys.stdin.readline()
os._exit(4)
"""


@needs_root
def test_a_step_cannot_write_the_message(pod: Pod) -> None:
    process = pod.start(PYTHON, "-c", FORGING, str(pod.message), stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "forging\n"
    process.communicate("\n", timeout=PATIENCE)
    assert process.returncode == 4
    assert "started_at" in pod.read_message()
    assert not pod.message.read_text().endswith(" ")


@needs_root
def test_an_image_cannot_say_where_the_message_goes(pod: Pod) -> None:
    """Its variables are the launcher's environment."""
    elsewhere = pod.message.with_name("elsewhere")
    elsewhere.touch()
    elsewhere.chmod(0o666)
    environment = {"ANIMUS_TERMINATION_LOG": str(elsewhere), "PATH": os.environ["PATH"]}
    pod.start("true", env=environment).communicate(timeout=PATIENCE)
    assert elsewhere.read_bytes() == b""
    assert pod.read_message()["ended"] == "exited"


@needs_root
def test_no_signal_of_a_step_ends_the_launcher(pod: Pod) -> None:
    """Neither sent nor queued: Go takes a queued SIGSEGV for its own fault."""
    program = """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
for number in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"):
    signal.signal(getattr(signal, number), signal.SIG_IGN)
SI_QUEUE, RT_SIGQUEUEINFO = -1, 129
for number in range(1, 65):
    os.kill(1, number)
    info = (ctypes.c_int * 32)(number, 0, SI_QUEUE)
    assert libc.syscall(RT_SIGQUEUEINFO, 1, number, info) == 0, ctypes.get_errno()
os._exit(6)
"""
    ended = pod.run(PYTHON, "-c", program)
    assert (ended.code, ended.err, ended.message["ended"]) == (6, "", "exited")


@needs_root
def test_a_step_can_neither_trace_nor_read_the_launcher(pod: Pod) -> None:
    """What is refused at the launcher works at a process of the step's own."""
    program = """
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
ATTACH, SEIZE, PIDFD_OPEN, PIDFD_GETFD, VM_READV = 16, 0x4206, 434, 438, 310
def call(*arguments):
    return "done" if libc.syscall(*arguments) >= 0 else os.strerror(ctypes.get_errno())
def attempt(action):
    try:
        action()
    except OSError as error:
        return error.strerror
    return "done"
def tries(pid):
    yield call(101, SEIZE, pid, 0, 0)
    yield call(101, ATTACH, pid, 0, 0) if pid == 1 else "done"
    yield call(PIDFD_GETFD, libc.syscall(PIDFD_OPEN, pid, 0), 0, 0)
    yield attempt(lambda: open(f"/proc/{pid}/mem", "r+b").close())
    yield attempt(lambda: open(f"/proc/{pid}/environ", "rb").read())
    yield attempt(lambda: os.listdir(f"/proc/{pid}/fd"))
    yield attempt(lambda: os.readlink(f"/proc/{pid}/exe"))
child = os.fork()
if child == 0:
    time.sleep(1000)
print(*sorted(set(tries(1))), sep=",")
print(*sorted(set(tries(child))), sep=",")
"""
    ended = pod.run(PYTHON, "-c", program)
    assert ended.out == "Operation not permitted,Permission denied\ndone\n", ended.err


@needs_root
def test_a_step_that_uses_up_its_processes_is_ended_all_the_same(pod: Pod) -> None:
    """The launcher needs no thread any more when its time has come."""
    program = """
import os, time
while True:
    try:
        os.fork()
    except BlockingIOError:
        time.sleep(0.01)
"""
    process = pod.start(
        PYTHON, "-c", program, seconds=2, limits=("/usr/bin/prlimit", "--nproc=60:60")
    )
    process.communicate(timeout=PATIENCE)
    assert (process.returncode, pod.read_message()["ended"]) == (DIES, "timed_out")


@needs_root
def test_a_step_that_lowers_the_launchers_limits_gets_no_message_of_its_own(pod: Pod) -> None:
    program = """
import resource, sys
open(sys.argv[1], "w").write('{"ended":"exited"}')
resource.prlimit(1, resource.RLIMIT_FSIZE, (0, 0))
resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))
resource.prlimit(1, resource.RLIMIT_NPROC, (0, 0))
sys.exit(8)
"""
    process = pod.start(PYTHON, "-c", program, str(pod.message))
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 8
    assert pod.message.read_bytes() == b""


# What the step gets

FOUND = """
import os, resource, signal, sys
print(sorted(os.environ.items()), os.getcwd(), sys.argv[1:], os.getuid(), os.getgid())
print([resource.getrlimit(number) for number in range(16)], os.umask(0))
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), sorted(os.listdir("/proc/self/fd")))
print([line for line in open("/proc/self/status") if line.startswith(("SigIgn", "SigCgt"))])
"""


@needs_root
def test_a_step_finds_what_it_would_find_without_the_launcher(pod: Pod) -> None:
    environment = {"PATH": "/usr/bin", "EMPTY": "", "GODEBUG": "x", "ÜNÏ": "\udcff"}
    how: dict[str, Any] = {"cwd": "/usr/lib", "env": environment}
    command = [PYTHON, "-c", FOUND, "a b", "", "--", "--seconds"]
    limits = ("/usr/bin/prlimit", "--nofile=512:600")
    plain = subprocess.check_output([*NAMESPACE, *limits, *command], text=True, **how)
    out, _ = pod.start(*command, limits=limits, **how).communicate(timeout=PATIENCE)
    assert out == plain


@needs_root
def test_a_step_does_not_get_what_is_dropped(pod: Pod) -> None:
    given = {"KEPT": "1", "DROPPED": "2", "ALSO": "3"}
    started = pod.start(
        "/usr/bin/env", options=["--drop", "DROPPED,ALSO,NOT_THERE"], env=os.environ | given
    )
    out, _ = started.communicate(timeout=PATIENCE)
    seen = dict(line.partition("=")[::2] for line in out.splitlines())
    assert seen.keys() & given.keys() == {"KEPT"}


@needs_root
def test_no_file_of_a_step_is_larger_than_it_may_be(pod: Pod) -> None:
    """Also not its message, which is on the node's disk."""
    fill = (
        "import os, sys; f = os.open(sys.argv[1], 1); os.write(f, bytes(1024)); os.write(f, b'x')"
    )
    options = ["--largest-file", "1024"]
    ended = pod.run(PYTHON, "-c", fill, str(pod.message), options=options)
    assert ended.code == 1
    assert "File too large" in ended.err
    assert ended.message["ended"] == "exited"


@needs_root
def test_a_step_waits_for_the_file_that_it_is_to_start_after(pod: Pod) -> None:
    ready = pod.message.with_name("ready")
    started = pod.start("/usr/bin/echo", "begun", options=["--after", str(ready)])
    with pytest.raises(subprocess.TimeoutExpired):
        started.communicate(timeout=0.3)
    ready.touch()
    out, _ = started.communicate(timeout=PATIENCE)
    assert (out, started.returncode) == ("begun\n", 0)


@needs_root
def test_a_step_that_waits_is_ended_by_sigterm(pod: Pod) -> None:
    ready = pod.message.with_name("never")
    started = pod.start("/usr/bin/echo", "begun", options=["--after", str(ready)])
    with pytest.raises(subprocess.TimeoutExpired):
        started.communicate(timeout=0.3)
    os.kill(_first(started), signal.SIGTERM)
    out, _ = started.communicate(timeout=PATIENCE)
    assert (out, started.returncode) == ("", 128 + signal.SIGTERM)
    assert pod.read_message()["ended"] == "signaled"


@needs_root
def test_a_step_has_a_session_of_its_own(pod: Pod) -> None:
    ended = pod.run(PYTHON, "-c", "import os; print(os.getsid(0) == os.getpgid(0) == os.getpid())")
    assert ended.out == "True\n"


@needs_root
def test_very_many_arguments_are_passed_on(pod: Pod) -> None:
    arguments = [f"--argument-{number}" for number in range(60_000)]
    ended = pod.run(PYTHON, "-c", "import sys; print(len(sys.argv), sys.argv[-1])", *arguments)
    assert (ended.code, ended.out) == (0, "60001 --argument-59999\n")


@needs_root
def test_closed_streams_are_no_obstacle(pod: Pod) -> None:
    closed = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    program = "import os; os.write(1, b'x'); os.write(2, b'x'); os._exit(5 + len(os.read(0, 1)))"
    process = pod.start(PYTHON, "-c", program, limits=closed)
    process.communicate(timeout=PATIENCE)
    assert (process.returncode, pod.read_message()["ended"]) == (5, "exited")


# Wrong uses


def test_it_refuses_to_be_anything_but_process_1(pod: Pod) -> None:
    """It would end every process of its user."""
    command = [str(pod.launcher), "--seconds", "1", "--", "true"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 125
    assert "process 1" in done.stderr


@needs_root
@pytest.mark.parametrize(
    "arguments",
    [
        [], ["--"], ["--seconds", "5"], ["--seconds", "5", "--"], ["--seconds", "0", "--", "true"],
        ["--seconds", "-1", "--", "true"], ["--seconds", "x", "--", "true"],
        ["--seconds", "99999999999", "--", "true"], ["--other", "--", "true"],
    ],
)  # fmt: skip
def test_another_command_line_is_refused(pod: Pod, arguments: list[str]) -> None:
    command = [*NAMESPACE, str(pod.launcher), *arguments]
    assert subprocess.run(command, capture_output=True).returncode == 125


# In the image


def test_fetch_looks_for_the_launcher_where_the_image_has_it() -> None:
    assert Path(f"/{LAUNCHER}") == mains.LAUNCHER


def test_the_layer_has_the_program_alone_and_says_what_made_it(part: Part, launcher: Path) -> None:
    with tarfile.open(part.layer.tar) as archive:
        files = {entry.name: entry.mode for entry in archive if not entry.isdir()}
    assert files == {LAUNCHER: 0o755}
    (package,) = part.packages
    assert package.kind is PackageKind.GO
    assert package.version.startswith("go1.")
    assert package.sha256 == hashlib.sha256(launcher.read_bytes()).hexdigest()


def test_the_same_sources_give_the_same_program(part: Part, tmp_path: Path) -> None:
    console = Console(io.StringIO(), terminal=False)
    again = obtain_launcher(Workshop(home=tmp_path, console=console))
    assert again.layer.digest == part.layer.digest


BUSY = """
import time
held = bytearray(40 * 1024**2)
while time.process_time() < 0.3:
    pass
"""


@pytest.mark.engine
def test_the_step_images_launcher_measures_its_container(tmp_path: Path) -> None:
    """By the container's own control group: the limit of memory is its as well."""
    console = Console(io.StringIO(), terminal=False)
    engine = get_engine(tmp_path / "engine.json", console=console)
    image = ensure_image(STEP, console=console)
    provide(image, engine=engine, console=console)
    message = tmp_path / "message"
    message.touch()
    message.chmod(0o666)
    command = engine.command(
        *("run", *HARDENED, *engine.run_options, f"--volume={message}:/dev/termination-log"),
        *(f"--entrypoint=/{LAUNCHER}", image.reference, "--seconds", "60"),
        *("--", "python3", "-c", BUSY),
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(message.read_text())
    assert said["ended"] == "exited"
    assert 300 <= said["cpu_milliseconds"] < 60_000
    assert 40 * 1024**2 <= said["peak_memory_bytes"] <= 128 * 1024**2


def test_only_the_step_image_has_it() -> None:
    assert STEP.has_launcher
    assert not DEMO.has_launcher


def _first(process: subprocess.Popen[str]) -> int:
    """Process 1 of the namespace, as it is seen from here."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    (first,) = listed.split()
    return int(first)
