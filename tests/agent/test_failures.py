"""Every way in which an attempt can fail, and what is said of it. Each attempt is a real one."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

import pytest

from animus.adapters.container.engines import Engine, EngineFailed
from animus.adapters.container.outcomes import exit_code_of_unstarted, refused_start
from animus.adapters.gateway import Gateway
from animus.domain.canonical import JsonObject
from animus.domain.work_orders import AttemptResult
from animus.ports import ExecutionPhase
from animusd.agent_wiring import build_agent
from deploy.embedded.stack import Stack
from tests.agent.agents import Bench, read_result, until
from tests.agent.conftest import BOTH, Images, MakeAgent
from tests.agent.platforms import Platform
from tests.agent.steps import python_step, shell_step
from tests.conftest import RecordCases
from tests.support.documents import output

MIB = 1024 * 1024
EAT = f"x = bytearray({600 * MIB}); print(len(x))"
SLEEP = "import time; print('begun', flush=True); time.sleep(300)"
WRITE_MODEL = "open('/animus/out/model', 'w').write('m')"
IGNORE_SIGNALS = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A step that ends by itself, and what is to be said of its end."""

    name: str
    script: str = "pass"
    """Python; or a shell's, where it begins with `sh: `."""
    declares: tuple[str | JsonObject, ...] = ()
    changes: JsonObject = field(default_factory=dict)
    """Of the step."""
    image: Callable[[str], str] = str
    """Another reference, made from the right one."""
    failure: str | None
    """`class/code`."""
    exit_code: int | None = 0
    message: str = ""
    outputs: tuple[str, ...] = ()
    log: str | None = ""
    """Words in the log; None where there is none."""
    in_sandbox: JsonObject = field(default_factory=dict)
    """What is otherwise there."""

    def step(self, images: Images) -> JsonObject:
        make = shell_step if self.script.startswith("sh: ") else python_step
        image = self.image(images.demo)
        step = make(image, self.script.removeprefix("sh: "), outputs=self.declares)
        resources = step["resources"] | self.changes.get("resources", {})
        return step | self.changes | {"resources": resources}


def files_of_a_mebibyte(place: str) -> str:
    return f"[open(f'{place}/{{n}}', 'wb').write(bytes({MIB})) for n in range(40)]"


CASES = [
    Case(
        name="success",
        script=f"{WRITE_MODEL}; print('done')",
        declares=("model",), failure=None, outputs=("model",), log="done",
    ),
    Case(
        name="an optional output is left out",
        declares=(output("extra", optional=True),), failure=None,
    ),
    Case(
        name="a non-zero exit code, with what was written before",
        script=f"{WRITE_MODEL}; exit(3)", declares=("model", "rest"),
        failure="user/exit_code", exit_code=3, message="exited with 3", outputs=("model",),
    ),
    Case(
        name="an exception",
        script="raise ValueError('wrong data')",
        failure="user/exit_code", exit_code=1, message="exited with 1",
        log="ValueError: wrong data",
    ),
    Case(
        name="a shell does not find a command",
        script="sh: no-such-program",
        failure="user/exit_code", exit_code=127, message="not found in the image", log="not found",
    ),
    Case(
        name="the command does not exist",
        changes={"command": ["/no/such/program"]},
        failure="user/exit_code", exit_code=127, message="not found in the image",
    ),
    Case(
        name="the command is not executable",
        changes={"command": ["/etc/passwd"]},
        failure="user/exit_code", exit_code=126, message="cannot be executed",
    ),
    Case(
        name="a crash",
        script="import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        failure="user/exit_code", exit_code=139, message="memory access",
    ),
    Case(
        name="too long",
        script=SLEEP, changes={"timeoutSeconds": 15},
        failure="user/timed_out", exit_code=137, message="longer than its 15 s", log="begun",
    ),
    Case(
        name="ignores being asked, and is too long",
        script=f"{IGNORE_SIGNALS}; {SLEEP}", changes={"timeoutSeconds": 15},
        failure="user/timed_out", exit_code=137, log="begun",
    ),
    Case(
        name="too much memory",
        script=EAT, failure="user/out_of_memory", exit_code=137, message="256Mi",
    ),
    Case(
        name="a child with too much memory",
        script="import subprocess, sys; "
        f"sys.exit(subprocess.run([sys.executable, '-c', '{EAT}']).returncode != 0)",
        failure="user/out_of_memory", exit_code=1,
        in_sandbox={"exit_code": 137},  # a sandbox ends as one
    ),
    Case(
        name="/tmp is memory, and full before memory is",
        script=f"f = open('/tmp/x', 'wb', 0); [f.write(bytes({MIB})) for n in range(65)]",
        changes={"resources": {"memory": "128Mi", "ephemeralStorage": "128Mi"}},
        failure="user/exit_code", exit_code=1, log="No space left on device",
    ),
    Case(
        name="too much output",
        script=f"{files_of_a_mebibyte('/animus/out')}; "
        f"{files_of_a_mebibyte('/animus/work')}; {SLEEP}",
        failure="user/storage_exceeded", exit_code=137, message="64Mi",
    ),
    Case(
        name="too much in the working directory and /tmp together",
        script=f"{files_of_a_mebibyte('/tmp')}; {files_of_a_mebibyte('/animus/work')}; {SLEEP}",
        failure="user/storage_exceeded", exit_code=137,
    ),
    Case(
        name="too many files",
        script=f"[open(f'{{n}}', 'w').close() for n in range(20_000)]; {SLEEP}",
        failure="user/storage_exceeded", exit_code=137,
    ),
    Case(
        name="too much printed",
        script="while True: print('x' * 100_000)",
        failure="user/storage_exceeded", exit_code=137, log="xxx",
    ),
    Case(
        name="a file beyond its limit",
        script=f"sh: exec dd if=/dev/zero of=/animus/work/x bs={MIB} count=80",
        failure="user/storage_exceeded", exit_code=153,
    ),
    Case(
        name="a required output is missing",
        script=WRITE_MODEL, declares=("model", "metrics", "plot"),
        failure="user/missing_output", message="metrics, plot", outputs=("model",),
    ),
    Case(
        name="too many processes",
        script="import os\nfor n in range(999): os.posix_spawn('/bin/sleep', ['sleep', '300'], {})",
        changes={"resources": {"memory": "1Gi"}},
        failure="user/exit_code", exit_code=1, log="BlockingIOError",
    ),
    Case(
        name="an image that is not there",
        image=lambda _: "localhost/nowhere@sha256:" + "e" * 64,
        failure="environment/image_missing", exit_code=None, message="localhost/nowhere", log=None,
    ),
    Case(
        name="the right image under another name",
        image=lambda right: right.replace("animus-demo", "animus-other"),
        failure="environment/image_missing", exit_code=None, message="animus-other", log=None,
    ),
    Case(
        name="a variable of several lines",
        changes={"env": [{"name": "POEM", "value": "two\nlines"}]},
        failure="environment/variable_unpassable", exit_code=None, message="POEM", log=None,
    ),
    Case(
        name="more arguments than the kernel takes",
        changes={"args": ["𝄞" * 32_768]},
        failure="user/exit_code", exit_code=126, message="too long", log=None,
    ),
]  # fmt: skip


@BOTH
async def test_every_end_is_told_for_what_it_is(
    platform: Platform, bench: Bench, images: Images, runtime: str, record_cases: RecordCases
) -> None:
    here = [replace(case, **case.in_sandbox) if runtime == "runsc" else case for case in CASES]
    outcomes = await asyncio.gather(
        *(_check(case, platform, bench, images) for case in here), return_exceptions=True
    )
    wrong = {
        case.name: outcome
        for case, outcome in zip(CASES, outcomes, strict=True)
        if outcome is not None
    }
    assert not wrong
    record_cases("ends of attempts", len(CASES))


async def test_an_image_of_ours_that_was_removed_is_missed_by_name(
    platform: Platform, make_agent: MakeAgent, engine: Engine, images: Images, tmp_path: Path
) -> None:
    """The engine is asked for it once, and again where it did not do what it was told."""
    reference = await _build_another(engine, images.step, tmp_path)
    try:
        bench = make_agent(step_image=reference)
        step = python_step(images.demo, "pass")
        assert (await bench.result(await platform.open_attempt(step))).failure is None
    finally:
        await engine.ask("rmi", reference)
    order = await platform.open_attempt(step)
    with pytest.raises(EngineFailed):
        await bench.execute(order)
    result = await bench.result(order)
    assert _told(result) == "environment/image_missing"
    assert result.failure is not None
    assert reference in result.failure.message
    assert await bench.containers(order.attempt_id) == []


async def _build_another(engine: Engine, reference: str, folder: Path) -> str:
    """By digest: one that does the same, and is nobody else's."""
    name = f"localhost/animus-{token_hex(8)}"
    (folder / "Containerfile").write_text(f"FROM {reference}\nLABEL name={name}\n")
    await engine.ask("build", "--tag", name, str(folder))
    (digest,) = (await engine.ask("image", "inspect", "--format", "{{.Digest}}", name)).split()
    return f"{name}@{digest}"


async def _check(case: Case, platform: Platform, bench: Bench, images: Images) -> None:
    order = await platform.open_attempt(case.step(images))
    signed = await bench.execute(order)
    result = read_result(signed.document)
    assert _told(result) == case.failure, result.failure
    assert result.exit_code == case.exit_code
    assert case.message in (result.failure.message if result.failure else "")
    assert tuple(each.name for each in result.outputs) == case.outputs
    if case.log is None:
        assert result.log is None
    else:
        assert case.log in await platform.read_log(result)
    closed = await platform.close_attempt(order, signed.document, signed.signature)
    assert closed.outcome == result.outcome
    assert await bench.containers(order.attempt_id) == []
    assert [entry.name for entry in bench.directory(order).iterdir()] == ["journal"]


_INIT = b"ERROR (catatonit:6): "
UNSTARTED: dict[str, tuple[list[bytes], int | None]] = {
    "in one": ([b"F " + _INIT + b"failed to exec pid1: Permission denied"], 126),
    "in two": ([b"P " + _INIT, b"F failed to exec pid1: No such file or directory"], 127),
    "in three": ([b"P " + _INIT, b"P failed to exec pid1: Exec format error", b"F "], 126),
    "something else": ([b"F Traceback (most recent call last):"], None),
    "and more": ([b"F " + _INIT + b"failed to exec pid1: x", b"F y"], None),
    "nothing": ([], None),
}


def test_a_command_that_could_not_be_started_is_told_from_one_that_failed(
    record_cases: RecordCases,
) -> None:
    """By the words of the init process, which the engine keeps in as many parts as it likes."""
    for name, (parts, code) in UNSTARTED.items():
        log = b"".join(b"2026-11-21T08:24:18.3+00:00 stderr " + part + b"\n" for part in parts)
        assert exit_code_of_unstarted(log) == code, name
    record_cases("words of the init process", len(UNSTARTED))


RUNC = "runc: runc create failed: unable to start container process: "
NO_COMMAND = ": OCI runtime attempted to invoke a command that was not found"
REFUSED = {
    f'{RUNC}exec: "/no/such": stat /no/such: no such file or directory{NO_COMMAND}': 127,
    f'{RUNC}exec: "nosuch": executable file not found in $PATH{NO_COMMAND}': 127,
    f'{RUNC}exec: "/etc/passwd": permission denied: OCI permission denied': 126,
    f"{RUNC}exec /bin/x: exec format error": 126,
    f"{RUNC}exec /bin/x: argument list too long": 126,
    f'{RUNC}error during container init: error mounting "/a" to rootfs at "/x": stat /a: '
    f"no such file or directory{NO_COMMAND}": None,
    "Error: no space left on device": None,
    "": None,
}


def test_the_user_is_not_blamed_for_what_the_machine_lacks(record_cases: RecordCases) -> None:
    for complaint, code in REFUSED.items():
        refused = refused_start(complaint)
        assert (refused.exit_code if refused else None) == code, complaint
    record_cases("complaints of the runtime", len(REFUSED))


@BOTH
async def test_what_kills_from_outside_is_not_the_users_fault(
    platform: Platform, bench: Bench, images: Images, record_cases: RecordCases
) -> None:
    """Someone with rights on the machine ends the container, takes it away, or ends its monitor."""
    ways = {"kill": "killed", "rm": "lost", "monitor": "lost"}
    ended = await asyncio.gather(*(_end_from_outside(w, platform, bench, images) for w in ways))
    assert {way: _told(result) for way, result in zip(ways, ended, strict=True)} == {
        way: f"platform/{code}" for way, code in ways.items()
    }
    logs = [await platform.read_log(result) for result in ended]
    assert all("begun" in log for log in logs)
    record_cases("ends from outside", len(ways))


async def _end_from_outside(
    way: str, platform: Platform, bench: Bench, images: Images
) -> AttemptResult:
    step = python_step(images.demo, "import time; print('begun', flush=True); time.sleep(300)")
    order = await platform.open_attempt(step)
    running = asyncio.create_task(bench.result(order))
    await until(lambda: bench.has_said(order, "begun"))
    name = bench.name(order, ExecutionPhase.MAIN)
    state = await bench.engine.find_container(name)
    assert state is not None
    match way:
        case "kill":
            await bench.engine.ask("kill", name)
        case "rm":
            await bench.engine.ask("rm", "--force", "--time", "0", name)
        case "monitor":
            os.kill(state.monitor_pid, signal.SIGKILL)
    result = await running
    assert state.identity not in sandboxes_kept(bench)
    return result


def sandboxes_kept(bench: Bench) -> str:
    """What gVisor itself still knows, beside the engine."""
    assert bench.engine.sandbox is not None
    command = [bench.engine.sandbox.program, "list", "--quiet"]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


async def test_a_corrupted_input_is_a_failure_of_the_data(
    platform: Platform, bench: Bench, images: Images, stack: Stack
) -> None:
    name = await platform.push_dataset({"a.csv": b"the right bytes"})
    _corrupt(stack, b"the right bytes", b"the wrong bytes")
    step = python_step(
        images.demo,
        "pass",
        inputs={"datasets": [{"name": "t", "datasetRef": "d"}], "artifacts": []},
    )
    order = await platform.open_attempt(step, datasets={"d": {"name": name}})
    result = await bench.result(order)
    assert _told(result) == "data/digest_mismatch"
    assert result.log is None
    assert result.started_at is None


async def test_a_mover_that_dies_is_a_failure_of_the_platform(
    platform: Platform, bench: Bench, images: Images
) -> None:
    """It is killed while it waits for an api that takes its connection and says nothing."""
    order = await platform.open_attempt(python_step(images.demo, "pass"))
    name = bench.name(order, ExecutionPhase.FETCH)
    gateway = Gateway(bench.section.api_url, token_file=bench.section.token_file)
    async with AsyncExitStack() as left:
        left.push_async_callback(gateway.close)
        silent = left.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        agent = build_agent(bench.section.model_copy(update={"api_url": url}), gateway)
        left.push_async_callback(agent.close)
        running = asyncio.create_task(replace(bench, agent=agent).result(order))
        while (state := await bench.engine.find_container(name)) is None or not state.is_running:
            assert not running.done()
        await bench.engine.kill(name)
        assert _told(await running) == "platform/fetch_failed"


def _corrupt(stack: Stack, content: bytes, changed: bytes) -> None:
    """What a disk may do to an object behind the store's back."""
    key = sha256(content).hexdigest()
    (file,) = (path for path in stack.layout.data("objects").rglob(key) if path.is_file())
    file.write_bytes(changed)


def _told(result: AttemptResult) -> str | None:
    failure = result.failure
    return f"{failure.failure_class}/{failure.code}" if failure else None
