"""A secret's way through a whole installation: it reaches main, and nothing that is kept.

A word beside it that is no secret is searched for in the same places, and found.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from base64 import b64decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from deploy.embedded.control_plane import process_files
from tests.e2e.installations import Installation
from tests.e2e.runs import E2eRun
from tests.support.canaries import Canary, databases_with, files_with
from tests.support.documents import explicit_pipeline, explicit_step, output
from tests.support.waiting import eventually

pytestmark = [pytest.mark.stack, pytest.mark.engine]

SCRIPT = """
import base64, os, pathlib, sys, urllib.parse
value = pathlib.Path('/animus/secrets/password').read_text()
print('open:', os.environ['OPEN'], 'hidden:', value, flush=True)
print(base64.b64encode(value.encode()).decode(), urllib.parse.quote(value), flush=True)
print(base64.b64encode(b'user:' + value.encode()).decode(), flush=True)
print(value, file=sys.stderr, flush=True)
pathlib.Path('/animus/out/seen').write_text(f"{len(value)} {os.environ['OPEN']}")
"""
ENDS = {"succeeded": "", "failed": "sys.exit(value)"}
"""How main ends; a message that it exits with is printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    installation: Installation
    project: str
    runs: tuple[E2eRun, ...]
    hidden: Canary
    open: Canary

    @property
    def state(self) -> Path:
        return self.installation.stack.layout.state

    @property
    def store(self) -> set[Path]:
        """Where it may be, encrypted."""
        files = process_files(self.installation.stack.site)
        return {files.secrets, files.secrets_identity}


@pytest.fixture(scope="module")
async def story(installation: Installation) -> Story:
    hidden, word = secrets.token_hex(16), f"open-{secrets.token_hex(8)}"
    project = await installation.create_project(word)
    value = f"{hidden}/+{hidden[::-1]}"
    put_secret(installation, project.rpartition("/")[2], value)
    runs = [await submit(installation, project, word, end=end) for end in ENDS.values()]
    ended = [(await run.ended())["state"] for run in runs]
    assert ended == list(ENDS)
    story = Story(
        installation=installation, project=project, runs=tuple(runs),
        hidden=Canary(value.encode()), open=Canary(word.encode()),
    )  # fmt: skip
    await eventually(lambda: is_cleared(story), "the agent has cleared both attempts")
    return story


def put_secret(installation: Installation, project_id: str, value: str) -> None:
    """As an operator does it."""
    settings = installation.stack.layout.settings / "agent.toml"
    command = ("secrets", "set", "--settings", str(settings), project_id, "databases/warehouse")
    done = subprocess.run(
        [sys.executable, "-m", "animusd", *command],
        input=value.encode() + b"\n", capture_output=True, check=True,
    )  # fmt: skip
    assert value not in (done.stdout + done.stderr).decode()


async def submit(installation: Installation, project: str, word: str, *, end: str) -> E2eRun:
    step = explicit_step(
        "train",
        image=installation.image,
        command=["python3", "-c"],
        args=[SCRIPT + end],
        env=[{"name": "OPEN", "value": word}],
        secrets=[{"name": "password", "secretRef": "databases/warehouse"}],
        outputs={"artifacts": [output("seen")]},
        resources={"cpu": "1", "memory": "256Mi", "gpu": 0, "ephemeralStorage": "256Mi"},
    )
    made = await installation.engineer.post(
        f"{project}/runs", {"pipeline": explicit_pipeline(step)}
    )
    return E2eRun(installation=installation, project=project, id=made["id"])


def in_memory() -> list[Path]:
    """Where agents of this machine keep secrets while main runs."""
    return [folder for folder in Path("/dev/shm").glob("animus-*") if folder.is_dir()]


async def is_cleared(story: Story) -> bool:
    home = process_files(story.installation.stack.site).agent_home
    left = [place for place, _, files in os.walk(home / "attempts") if files]
    return all("journal" in Path(place).parts for place in left)


async def objects_of(story: Story, run: E2eRun) -> dict[str, bytes]:
    """What a member downloads of a run, by name."""
    engineer, found = story.installation.engineer, {}
    listed = await engineer.get(f"{story.project}/artifacts?run_id={run.id}")
    async with httpx.AsyncClient(trust_env=False) as http:
        for artifact in listed["artifacts"]:
            path = f"{story.project}/artifacts/{artifact['id']}/download"
            answer = await http.get((await engineer.get(path))["download_url"])
            found[artifact["name"]] = answer.content
    return found


async def answers_about(story: Story) -> list[bytes]:
    """Everything that the api tells of the runs, to members and to the administrator."""
    engineer, admin = story.installation.engineer, story.installation.admin
    of_run = ("", "/plan", "/gates", "/metrics", "/messages")
    asked: list[tuple[Callable[[str], Awaitable[Any]], str]] = [
        (engineer.get, f"{run.path}{part}") for run in story.runs for part in of_run
    ]
    asked += [(engineer.get, f"{story.project}{part}") for part in ("", "/runs", "/artifacts")]
    asked += [(admin.get, "/projects"), (admin.get, "/clusters")]
    return [
        *[orjson.dumps(await get(path)) for get, path in asked],
        *(orjson.dumps(event) for event in await events(story)),
    ]


async def events(story: Story) -> list[dict[str, Any]]:
    """Everything that the administrator reads in the audit log."""
    found: list[dict[str, Any]] = []
    path = "/audit-events?limit=100"
    page = await story.installation.admin.get(path)
    while page["events"]:
        found += page["events"]
        page = await story.installation.admin.get(f"{path}&after={page['next_after']}")
    return found


async def accesses_of(story: Story, run: E2eRun) -> list[dict[str, Any]] | None:
    """None before there is one: what was recorded is indexed soon after."""
    found = [event for event in await events(story) if event["action"] == "secret.accessed"]
    return [event for event in found if event["subjects"]["run"] == run.id] or None


async def test_main_got_it_and_its_log_does_not_tell_it(story: Story) -> None:
    for run in story.runs:
        objects = await objects_of(story, run)
        assert objects["seen"].split() == [b"66", story.open.value]
        (log,) = [content for name, content in objects.items() if name != "seen"]
        assert story.open.is_in(log)
        assert not story.hidden.is_in(log)
        assert log.count(b"[redacted]") == 5 + (run is story.runs[1])


async def test_no_database_holds_it(story: Story) -> None:
    url = story.installation.database_url
    assert set(databases_with(story.open, url)) >= {"animus", "temporal", "temporal_visibility"}
    assert databases_with(story.hidden, url) == []


async def test_no_file_of_the_installation_holds_it(story: Story) -> None:
    """Object store, journals, write-ahead logs, logs of all processes."""
    found = files_with(story.open, story.state, besides=story.store)
    kinds = {file.relative_to(story.state).parts[0] for file in found}
    assert kinds >= {"objects", "postgres"}
    attempts = await story.installation.query(
        "SELECT id::text FROM attempts WHERE run_id = ANY(%s::uuid[])",
        [run.id for run in story.runs],
    )
    for (attempt,) in attempts:
        log = story.installation.stack.layout.log("agent")
        assert log in files_with(Canary(attempt.encode()), story.state)
    assert files_with(story.hidden, story.state, besides=story.store) == []
    assert [file for folder in in_memory() for file in files_with(story.hidden, folder)] == []
    assert not any(story.hidden.is_in(file.read_bytes()) for file in story.store)


async def test_no_history_holds_it(story: Story) -> None:
    for run in story.runs:
        handle = story.installation.temporal.get_workflow_handle(run.id)
        events = (await handle.fetch_history()).events
        said = b"".join(event.SerializeToString() for event in events)
        assert Canary(run.id.encode()).is_in(said)
        assert not story.hidden.is_in(said)


async def test_no_answer_of_the_api_holds_it(story: Story) -> None:
    answers = await answers_about(story)
    assert sum(story.open.is_in(answer) for answer in answers) >= len(story.runs)
    assert [answer for answer in answers if story.hidden.is_in(answer)] == []


async def test_each_access_is_on_record_with_reference_and_without_value(story: Story) -> None:
    for run in story.runs:
        (access,) = await eventually(partial(accesses_of, story, run), "the access is indexed")
        assert access["payload"]["secrets"] == [
            {"name": "password", "secretRef": "databases/warehouse"}
        ]
        assert not story.hidden.is_in(b64decode(access["leaf"]))
