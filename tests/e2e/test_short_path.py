"""A first run as people make it: one line in a folder, before a terminal, on the real stack."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.people import Person
from tests.sdk.interpreters import CHOICES, Choice, install
from tests.sdk.terminals import Terminal

SLOW = "import time\nprint('begun', flush=True)\ntime.sleep(3600)\n"
FAILS = "import sys\nprint('no such column: churned', file=sys.stderr)\nsys.exit(3)\n"


async def test_one_line_in_a_folder_ends_in_a_succeeded_run(person: Person) -> None:
    code, shown = await person.types(*person.line("-p", "lr=0.1"), then=lambda t: t.end())
    assert code == 0, shown
    for said in ("the folder's name", "all committed", "podman", "(allowed)", "Submitted ",
                 "succeeded", "model"):  # fmt: skip
        assert said in shown, said

    again = await person.json(*person.line("-p", "lr=0.2"))
    assert again["uploads"] == {"source": None, "environment_lock": None, "datasets": {}}
    assert again["state"] == "succeeded"
    (model,) = [one for one in again["artifacts"] if one["name"] == "model"]
    await person.json("artifact", "download", model["id"], "--to", "model.json")
    content = json.loads((person.folder / "model.json").read_text())
    assert content == {"rows": 3, "lr": "0.2"}


@pytest.mark.parametrize("choice", CHOICES, ids=str)
async def test_the_same_line_on_other_pythons(
    person: Person, choice: Choice, tmp_path: Path
) -> None:
    program = await asyncio.to_thread(install, choice, tmp_path / "venv")
    other = replace(person, program=program)
    code, shown = await other.types(*other.line("-p", "lr=0.1"), then=lambda t: t.end())
    assert code == 0, shown
    for said in ("all committed", "(allowed)", "Submitted ", "succeeded", "model"):
        assert said in shown, said
    again = await other.json(*other.line("-p", "lr=0.2"))
    assert (again["state"], again["uploads"]["source"]) == ("succeeded", None)


async def test_ctrl_c_leaves_it_running_and_watch_comes_back(person: Person) -> None:
    person.write(SLOW)

    def leave(session: Terminal) -> int:
        session.wait_for("Submitted ")
        session.wait_for("running")
        session.interrupt()
        return session.end()

    code, shown = await person.types(*person.line(), then=leave)
    assert code == 130, shown
    run_id = shown.rpartition("animus run watch ")[2].split()[0]
    assert (await person.json("run", "show", run_id))["state"] == "running"
    assert f"animus run cancel {run_id}" in shown
    await person.json("run", "cancel", run_id)
    watched = await person.run("run", "watch", run_id)
    assert watched.code == 6, watched


async def test_a_script_that_fails_is_told_with_where_its_words_are(person: Person) -> None:
    person.write(FAILS)
    done = await person.run(*person.line())
    assert done.code == 5, done
    assert "not committed (development takes it): train.py" in done.out
    assert "exited with 3" in done.out
    assert "animus run logs" in done.err


async def test_an_image_that_the_engine_lacks_is_told_before_anything_is_sent(
    person: Person,
) -> None:
    words = [w.replace(person.image, "localhost/animus-demo:absent") for w in person.line()]
    done = await person.run(*words)
    assert done.code == 1
    assert "There is no image 'localhost/animus-demo:absent': podman has none." in done.err
    assert (await person.json("run", "list"))["runs"] == []
