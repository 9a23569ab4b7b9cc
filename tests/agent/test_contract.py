"""What a step sees and may do, as it is seen from inside; and what it is given."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from animus_sdk.source import build_source_pack

from animus.domain.canonical import JsonObject, canonical_bytes
from animus.domain.work_orders import AttemptResult
from tests.agent.agents import Bench, read_result
from tests.agent.conftest import BOTH, Images
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step
from tests.conftest import RecordCases

pytestmark = BOTH

PROBE = (Path(__file__).parent / "probe.py").read_text()
PARAMETERS: JsonObject = {
    "lr": 0.1,
    "text": "two\nlines =\t",
    "deep": {"a": [1, "é"]},
    "flag": True,
    "no": None,
}
OF_THE_IMAGE = {"PATH", "LANG", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
OF_THE_ENGINE = {"TERM", "container", "HOSTNAME", "HOME"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    (folder / "pkg").mkdir()
    (folder / "train.py").write_text("print('train')\n")
    (folder / "pkg" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "pkg" / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("train.py")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "all")):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    return folder


@pytest.fixture(scope="module")
async def looked(
    platform: Platform, images: Images, source: Path, make_module_agent: Any
) -> tuple[Order, AttemptResult, dict[str, Any]]:
    """One attempt of the probe, with everything that a step can be given."""
    pack = build_source_pack(source)
    code = await platform.push_source(pack.content, pack.commit, pack.object_format)
    dataset = await platform.push_dataset({"a.csv": b"1,2\n", "deep/b.csv": b"3\n"})
    api = json.dumps(platform.url.removeprefix("http://").split(":"))
    step = python_step(
        images.demo,
        PROBE,
        outputs=["report"],
        env={"GREETING": "hello = world", "PROBE_API": api, "LD_PRELOAD": "/nonexistent.so"},
        inputs={"datasets": [{"name": "table", "datasetRef": "data"}], "artifacts": []},
    )
    order = await platform.open_attempt(
        step, parameters=PARAMETERS, datasets={"data": {"name": dataset}}, code=code
    )
    bench: Bench = make_module_agent()
    signed = await bench.execute(order)
    result = read_result(signed.document)
    assert result.failure is None, result.failure
    closed = await platform.close_attempt(order, signed.document, signed.signature)
    assert closed.outcome == "succeeded"
    (report,) = result.outputs
    seen: dict[str, Any] = json.loads(await platform.read_object(report.sha256))
    return order, result, seen


Looked = tuple[Order, AttemptResult, dict[str, Any]]


async def test_a_step_is_given_its_inputs_its_code_and_a_copy_to_work_in(looked: Looked) -> None:
    _, _, seen = looked
    assert seen["in"] == {
        "table": "755/",
        "table/a.csv": "644 1,2\n",
        "table/deep": "755/",
        "table/deep/b.csv": "644 3\n",
    }
    files = {
        "link": "-> train.py",
        "pkg": "755/",
        "pkg/run.sh": "755 #!/bin/sh\n",
        "train.py": "644 print('train')\n",
    }
    assert seen["code"] == files
    assert seen["work"] == files
    assert seen["out"] == {}
    assert seen["directory"] == "/animus/work"


async def test_parameters_are_the_canonical_bytes_and_scalars_are_variables(looked: Looked) -> None:
    _, _, seen = looked
    assert seen["parameters"].encode() == canonical_bytes(PARAMETERS)
    given = {k: v for k, v in seen["environment"].items() if k.startswith("ANIMUS_PARAM_")}
    assert given == {
        "ANIMUS_PARAM_LR": "0.1",
        "ANIMUS_PARAM_TEXT": "two\nlines =\t",
        "ANIMUS_PARAM_FLAG": "true",
    }


async def test_a_step_has_its_own_variables_and_nothing_else_of_ours(looked: Looked) -> None:
    order, _, seen = looked
    environment = seen["environment"]
    assert environment["GREETING"] == "hello = world"
    assert environment["LD_PRELOAD"] == "/nonexistent.so"
    names = {n for n in environment if not n.startswith("ANIMUS_PARAM_")}
    own = {"GREETING", "PROBE_API", "LD_PRELOAD"}
    ours = {"ANIMUS_RUN_ID", "ANIMUS_STEP", "ANIMUS_ATTEMPT"}
    assert names == own | ours | OF_THE_IMAGE | OF_THE_ENGINE
    assert environment["ANIMUS_RUN_ID"] == str(order.run_id)
    assert environment["ANIMUS_STEP"] == "main"
    assert environment["ANIMUS_ATTEMPT"] == "1"


async def test_a_sandbox_has_a_kernel_of_its_own(looked: Looked, runtime: str) -> None:
    _, _, seen = looked
    assert (seen["kernel"] == os.uname().release) is (runtime == "runc")


async def test_a_step_is_confined(looked: Looked, record_cases: RecordCases) -> None:
    _, _, seen = looked
    none = "0000000000000000"
    expected = {
        "uid": 10001,
        "gids": [0, 0],
        "capabilities": [none, none, none, none],
        "no_new_privileges": "1",
        "seccomp": "2",
        "becomes_root": False,
        "interfaces": ["lo"],
        "reaches_itself": True,
        "reaches_api": False,
        "writable": ["/animus/work", "/animus/out", "/tmp", "/dev/shm"],
        "first_process": "/run/podman-init",
    }
    assert {name: seen[name] for name in expected} == expected
    assert not {"/animus/sockets", "/animus/token", "/animus/attempt"} & set(seen["present"])
    assert seen["limits"] == {"core": [0, 0], "file": [64 * 1024**2] * 2}
    assert not [d for d in seen["devices"] if d.startswith(("sd", "vd", "kmsg", "mem"))]
    record_cases("confinement seen from inside", len(expected) + 3)


async def test_what_is_mounted_is_what_a_step_needs(
    looked: Looked, runtime: str, record_cases: RecordCases
) -> None:
    _, _, seen = looked
    mounts = seen["mounts"]
    ours = {place: options for place, options in mounts.items() if place.startswith("/animus")}
    assert set(ours) == {
        "/animus/in", "/animus/code", "/animus/work", "/animus/out", "/animus/params.json",
    }  # fmt: skip
    writable = {place for place, options in ours.items() if "rw" in options}
    assert writable == {"/animus/work", "/animus/out"}
    assert "ro" in mounts["/"]
    is_plain = runtime == "runc"  # gVisor names no "nodev", and has its own /dev
    of_scratch = {"tmpfs", "rw", "nosuid", "size=65536k", *(["nodev"] if is_plain else [])}
    assert of_scratch <= set(mounts["/tmp"])
    from_disk = {p for p, o in mounts.items() if o[0] not in ("tmpfs", "proc", "sysfs", "cgroup")}
    of_the_engine = {"/", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/sys/fs/cgroup",
                     "/run/.containerenv", "/run/podman-init", "/dev/pts",
                     "/dev/mqueue"}  # fmt: skip
    if not is_plain:
        of_the_engine |= {"/dev", "/dev/shm"}
    assert from_disk - set(ours) <= of_the_engine
    record_cases("mounts seen from inside", len(mounts))


async def test_the_posture_is_what_the_engine_says(
    looked: Looked, images: Images, runtime: str
) -> None:
    _, result, _ = looked
    posture = result.posture
    assert posture is not None
    assert posture.content() == {
        "executor": "container",
        "engine": posture.engine,
        "runtime": runtime,
        "image": images.demo.rpartition("@")[2],
        "user": "10001:0",
        "network": "none",
        "read_only_root": True,
        "capabilities": [],
        "no_new_privileges": True,
        "seccomp": "default",
        "memory_bytes": 256 * 1024**2,
        "millicores": 1000,
        "pids": {"runc": 512, "runsc": 2048}[runtime],
    }
    assert posture.engine.startswith("podman ")


async def test_values_do_not_show_in_the_process_list(
    platform: Platform, bench: Bench, images: Images
) -> None:
    """The engine's command lines are readable by everyone on the machine."""
    secret = "hunter2-in-a-variable"
    step = python_step(images.demo, "pass", env={"PASSPHRASE": secret})
    order = await platform.open_attempt(step, parameters={"hidden": secret + "-too"})
    with watched_command_lines() as lines:
        result = await bench.result(order)
    assert result.failure is None
    assert any(bench.naming.prefix in line for line in lines)
    assert not [line for line in lines if secret in line]


@contextmanager
def watched_command_lines() -> Iterator[set[str]]:
    """All command lines on this machine, read again and again by a thread."""
    lines: set[str] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.wait(0.002):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    lines.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    reading = threading.Thread(target=read)
    reading.start()
    try:
        yield lines
    finally:
        stop.set()
        reading.join()
