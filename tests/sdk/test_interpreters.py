"""The installed wheel on the oldest Python that it promises, with the oldest of what it depends on
too, and on the newest that is here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sdk.attempt_places import start_run
from tests.sdk.command_lines import CommandLine
from tests.sdk.conftest import CommandLineOf
from tests.sdk.interpreters import CHOICES, install
from tests.sdk.platforms import CLUSTER, Platform, pipeline, unique
from tests.sdk.projects import write_project
from tests.sdk.talks import begin, line


@pytest.fixture(scope="module", params=CHOICES, ids=str)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(request.param, tmp_path_factory.mktemp("installed") / "venv")


@pytest.fixture
def animus(command_line_of: CommandLineOf, program: Path) -> CommandLine:
    return replace(command_line_of("engineer"), program=program)


def test_it_is_the_wheel_that_runs(animus: CommandLine) -> None:
    done = animus.process("--version")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("animus 0.")
    (config,) = animus.program.parent.parent.glob("pyvenv.cfg")
    python = config.read_text().partition("version = ")[2].split()[0]
    assert f"Python {python})" in done.out
    assert animus.process("run", "submit", "--help").code == 0


def test_the_way_to_a_platform_is_tried(animus: CommandLine) -> None:
    done = animus.process("doctor", "--json")
    assert (done.code, done.err) == (0, "")
    states = {one["check"]: one["state"] for one in json.loads(done.out)["findings"]}
    assert states["store"] == states["project"] == "ok"


def test_code_and_data_are_sent_and_a_run_submitted(animus: CommandLine) -> None:
    written = pipeline()
    write_project(animus.folder, written)
    given = ("pipeline.yaml", "--data", "cancer=./data", "--lock", "lock.json")
    run = ("--cluster", CLUSTER, "--json")
    previewed = animus.process("run", "preview", *given, *run)
    assert (previewed.code, previewed.err) == (0, ""), previewed
    submitted = animus.process("run", "submit", *given, *run)
    assert (submitted.code, submitted.err) == (0, ""), submitted
    sent = json.loads(submitted.out)
    assert sent["uploads"]["source"] is not None
    assert sent["uploads"]["datasets"]["cancer"]["uploaded"] == 1
    assert sent["plan_digest"] in (None, json.loads(previewed.out)["plan_digest"])


def test_a_run_that_failed_is_explained(platform: Platform, animus: CommandLine) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    talk = begin(platform, run_id)
    talk.say(line(1, "no such column"))
    talk.end()
    platform.driver.finalise(platform.project_id, run_id)
    for command in ("explain", "show"):
        done = animus.process("run", command, run_id)
        assert done.code == 0
        assert "    | no such column" in done.out
    assert animus.process("run", "watch", run_id).code == 5


def test_a_person_watches_and_leaves(platform: Platform, animus: CommandLine) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    with animus.on_terminal("run", "watch", run_id) as person:
        person.wait_for("train")
        person.interrupt()
        assert person.end() == 130
    assert f"To look again: animus run watch {run_id}" in person.shown
    assert "Traceback" not in person.shown


def test_a_push_has_a_bar_and_comes_back_whole(animus: CommandLine) -> None:
    name, content = unique("bar"), unique("x").encode() * 100_000
    (animus.folder / "large").write_bytes(content)
    with animus.on_terminal("dataset", "push", name, "large") as person:
        assert person.end() == 0, person.shown
    assert "uploading" in person.shown
    assert animus.process("dataset", "download", f"{name}@1", "--to", "got").code == 0
    assert (animus.folder / "got" / "large").read_bytes() == content


def test_a_file_with_a_fault_is_told_with_its_line(animus: CommandLine) -> None:
    written = "apiVersion: animus/v1\npipeline: x\nsteps: {a: {rum: x}}\n"
    (animus.folder / "p.yaml").write_text(written)
    done = animus.process("pipeline", "check", "p.yaml")
    assert done.code == 2
    assert "Did you mean 'run'?" in done.err
    assert "    3 | steps: {a: {rum: x}}" in done.err
