"""Two hundred steps in the short form: expanded, previewed, planned, and read on one screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sdk.command_lines import CommandLine
from tests.sdk.platforms import CLUSTER, IMAGE, Platform
from tests.sdk.projects import write_project

STEPS = 200
FOLDS = 18
SCREEN = 60
"""Lines of a terminal, at most."""
ASKED = ("pipeline.yaml", "--data", "cancer=./data", "--cluster", CLUSTER)


def sweep() -> dict[str, Any]:
    """One that prepares, 180 that train, 18 that compare ten of those each, one that reports."""
    trained = [f"train-{number:03}" for number in range(1, STEPS - FOLDS - 1)]
    compared = [f"compare-{number:02}" for number in range(1, FOLDS + 1)]
    prepare = {"run": "python3 prepare.py", "data": "cancer", "out": "set"}
    steps: dict[str, Any] = {"prepare": prepare}
    for seed, name in enumerate(trained):
        steps[name] = {
            "run": "python3 train.py", "in": "prepare.set", "out": "model",
            "env": {"SEED": seed}, "attempts": 2,
        }  # fmt: skip
    for position, name in enumerate(compared):
        own = trained[position * 10 : position * 10 + 10]
        models = {one: f"{one}.model" for one in own}
        steps[name] = {"run": "python3 compare.py", "in": models, "out": "best", "memory": "2Gi"}
    chosen = {one: f"{one}.best" for one in compared}
    steps["report"] = {"run": "python3 report.py", "in": chosen, "out": "report"}
    return {"apiVersion": "animus/v1", "pipeline": "sweep", "image": IMAGE, "steps": steps}


@pytest.fixture
def project(animus: CommandLine) -> Path:
    write_project(animus.folder, sweep())
    return animus.folder


def test_two_hundred_steps_are_read_on_one_screen(
    platform: Platform, animus: CommandLine, project: Path
) -> None:
    """Each command as a process, which is given a minute; it takes seconds."""
    checked = animus.process("pipeline", "check", "pipeline.yaml")
    assert checked.out.startswith("pipeline.yaml is a pipeline of 200 steps: sha256:"), checked
    previewed = animus.process("run", "preview", *ASKED)
    assert previewed.code == 0, previewed
    lines = previewed.out.splitlines()
    assert len(lines) <= SCREEN
    assert "200, in 4 waves, 180 side by side at most" in previewed.out
    beginning = lines.index("Steps") + 1
    assert [line.partition(":")[0] for line in lines[beginning : beginning + 5]] == [
        "  1. prepare", "  2. 180 × train-001 … train-180", "  3. 18 × compare-01 … compare-18",
        "  4. report", "  each of them",
    ]  # fmt: skip


def test_each_of_them_is_shown_where_it_is_asked_for(
    platform: Platform, animus: CommandLine, project: Path
) -> None:
    shown = animus("run", "preview", *ASKED, "--all").out.splitlines()
    assert sum(line.startswith("  2. train-") for line in shown) == 180
    asked = animus.json("run", "preview", *ASKED)
    assert len(asked["plan"]["body"]["steps"]) == STEPS
    summary = animus("run", "preview", *ASKED, "--markdown").out
    assert "- `180 × train-001 … train-180`" in summary.splitlines()


def test_the_plan_of_a_run_is_read_on_one_screen_too(
    platform: Platform, animus: CommandLine, project: Path
) -> None:
    run = animus.json("run", "submit", *ASKED)
    platform.driver.plan(platform.project_id, run["id"])
    plan = animus.process("run", "plan", run["name"])
    assert len(plan.out.splitlines()) <= SCREEN
    assert f"each of them: animus run plan {run['name']} --all" in plan.out
    every = animus("run", "plan", run["name"], "--all").out
    assert sum(line.startswith("train-") for line in every.splitlines()) == 180
