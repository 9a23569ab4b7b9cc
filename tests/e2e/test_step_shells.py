"""A step that failed, opened on a laptop: what it sees is what it saw, and nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.disks import small_disk
from tests.e2e.installations import Installation
from tests.e2e.leftovers import containers_in
from tests.e2e.people import Person
from tests.sdk.terminals import Terminal

pytestmark = [pytest.mark.stack, pytest.mark.engine]

SLEEPS = 'import time; print("asleep-%d" % 2, flush=True); time.sleep(1000)'
LOOKS = """\
import hashlib, json, os, resource, socket, sys
def files(root):
    found = {}
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            found[path] = hashlib.sha256(open(path, 'rb').read()).hexdigest()
    return found
def writable(path):
    try:
        open(path, 'w').close(); os.unlink(path); return True
    except OSError:
        return False
seen = {
    'files': {k: v for r in ('in', 'code', 'work') for k, v in files('/animus/' + r).items()},
    'parameters': open('/animus/params.json').read(),
    'variables': {k: v for k, v in os.environ.items() if k.startswith(('ANIMUS_', 'PATH', 'LANG'))},
    'user': [os.getuid(), os.getgid()], 'cwd': os.getcwd(), 'host': socket.gethostname(),
    'writable': {p: writable(p + '/x') for p in ('/', '/animus/in', '/animus/code', '/animus/out',
                                               '/animus/work', '/tmp')},
    'largest file': resource.getrlimit(resource.RLIMIT_FSIZE), 'python': sys.version,
    'reaches': sorted(name for _, name in socket.if_nameindex() if name != 'lo'),
}
print('SEEN ' + json.dumps(seen, sort_keys=True), flush=True)
sys.exit(3)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A run of which the only step has failed."""

    id: str
    name: str
    words: str
    """What its person was shown."""

    @property
    def step(self) -> str:
        return f"{self.id}/train"


@pytest.fixture
async def failed(person: Person) -> Failed:
    person.write(LOOKS)
    done = await person.run(*person.line("-p", "lr=0.1", "-p", "many=[1, 2]"))
    assert done.code == 5, done
    (run,) = (await person.json("run", "list"))["runs"]
    return Failed(id=run["id"], name=run["name"], words=done.out + done.err)


async def test_it_sees_what_it_saw(person: Person, failed: Failed) -> None:
    assert f"animus step shell {failed.id}/train --attempt 1" in failed.words
    there = _seen((await person.run("run", "logs", failed.id)).out)
    opened = await person.run("step", "shell", failed.step, "--run")
    assert opened.code == 3, opened
    here = _seen(opened.out)
    assert here["variables"].pop("ANIMUS_LOCAL") == "1"
    assert here == there
    assert here["files"]["/animus/in/churn/churn.csv"]
    assert "no part of the run, and no evidence" in opened.err
    assert "runsc stood between the step and the kernel" in opened.err


async def test_on_a_terminal_it_is_a_shell_with_the_runs_name(
    person: Person, failed: Failed
) -> None:
    def work(session: Terminal) -> int:
        session.wait_for(f"{failed.name}/train $ ")
        session.type("echo changed > train.py; echo written-$((1 + 1))\n")
        session.wait_for("written-2")  # else Ctrl+C would end this
        session.type(f"python -c '{SLEEPS}'\n")
        session.wait_for("asleep-2")  # said by the program: between two a shell may miss Ctrl+C
        session.type("\x03")
        session.type("echo still-$((40 + 2))\n")
        session.wait_for("still-42")
        session.type("exit 7\n")
        return session.end()

    code, shown = await person.types("step", "shell", failed.name, then=work)
    assert code == 7, shown
    again = await person.run("step", "shell", failed.step, "--", "cat", "train.py")
    assert (again.code, again.out) == (0, "changed\n")
    fresh = await person.run(
        "step", "shell", failed.step, "--fresh", "--rm", "--", "cat", "train.py"
    )
    assert (fresh.code, fresh.out) == (0, LOOKS)
    assert not _folder(person, failed).exists()
    assert (person.folder / ".animus" / ".gitignore").read_text() == "*\n"


async def test_whatever_ends_the_command_takes_its_container_away(
    person: Person, failed: Failed, installation: Installation
) -> None:
    for ended_by in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):

        def leave(session: Terminal, by: signal.Signals = ended_by) -> int:
            session.wait_for(f"{failed.name}/train $ ")
            session.process.send_signal(by)
            return session.end()

        code, shown = await person.types("step", "shell", failed.step, then=leave)
        assert code == 130, (ended_by, shown)
        assert containers_in(person.folder, installation.engine) == []


async def test_what_a_kill_left_is_taken_away_by_the_next(
    person: Person, failed: Failed, installation: Installation
) -> None:
    def kill(session: Terminal) -> int:
        session.wait_for(f"{failed.name}/train $ ")
        session.process.kill()
        return session.process.wait()

    await person.types("step", "shell", failed.step, then=kill)
    done = await person.run("step", "shell", failed.step, "--", "true")
    assert done.code == 0, done
    assert containers_in(person.folder, installation.engine) == []


async def test_only_one_at_a_time_is_in_a_folder(person: Person, failed: Failed) -> None:
    def look(session: Terminal) -> int:
        session.wait_for(f"{failed.name}/train $ ")
        second = asyncio.run(person.run("step", "shell", failed.step))
        assert second.code == 2
        assert "Another command is at work" in second.err
        session.type("exit\n")
        return session.end()

    code, shown = await person.types("step", "shell", failed.step, then=look)
    assert code == 0, shown


async def test_an_input_that_was_changed_here_is_fetched_anew(
    person: Person, failed: Failed
) -> None:
    words = ("step", "shell", failed.step, "--", "cat", "/animus/in/churn/churn.csv")
    before = await person.run(*words)
    original = (person.folder / "data" / "churn.csv").read_text()
    assert before.out == original
    cached = [
        file
        for file in (Path(person.environment["HOME"]) / ".cache/animus/objects").rglob("*")
        if file.is_file() and file.read_bytes() == original.encode()
    ]
    (file,) = cached
    file.chmod(0o600)
    file.write_text("id,churned\n6,6\n")
    after = await person.run(*words)
    assert (after.code, after.out) == (0, original)
    assert file.read_text() == original


async def test_who_may_not_read_the_project_gets_nothing(
    person: Person, failed: Failed, installation: Installation
) -> None:
    made = await installation.admin.post(
        "/principals", {"name": f"stranger-{failed.name}", "display_name": "A stranger"}
    )
    token = await installation.admin.post(f"/principals/{made['id']}/tokens", {"name": "laptop"})
    project = (await person.json("project", "show"))["id"]
    changes = {"ANIMUS_AUTH_TOKEN": token["secret"], "ANIMUS_PROJECT": project}
    stranger = replace(person, environment={**person.environment, **changes})
    done = await stranger.run("step", "shell", failed.step, "--", "true")
    assert done.code == 2, done
    assert not _folder(person, failed).exists()


async def test_a_full_disk_is_told_as_one(person: Person, failed: Failed) -> None:
    with small_disk(person.folder / ".animus", size="8k"):
        done = await person.run("step", "shell", failed.step, "--", "true")
    assert done.code == 1, done
    assert "The disk is full" in done.err


async def test_an_image_that_is_not_to_be_had_is_told_with_what_to_do(
    person: Person, failed: Failed
) -> None:
    with tempfile.TemporaryDirectory(prefix="k") as folder:
        other = [
            "podman",
            "--storage-driver",
            "vfs",
            "--root",
            f"{folder}/s",
            "--runroot",
            f"{folder}/r",
        ]
        changes = {"ANIMUS_ENGINE": shlex.join(other)}
        bare = replace(person, environment={**person.environment, **changes})
        done = await bare.run("step", "shell", failed.step, "--", "true")
    assert done.code == 1, done
    assert "is not on this machine, and podman can't pull it" in done.err
    assert "'podman load' here" in done.err


def _seen(text: str) -> Any:
    (line,) = [line for line in text.splitlines() if "SEEN " in line]
    return json.loads(line.partition("SEEN ")[2])


def _folder(person: Person, failed: Failed) -> Path:
    return person.folder / ".animus" / "steps" / failed.name / "train"
