"""A run again with a change, a run as production, and what is different between two."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.sdk.attempt_places import commit_all
from tests.sdk.command_lines import CommandLine
from tests.sdk.platforms import CLUSTER, Platform, pipeline, unique
from tests.sdk.projects import write_project

ASKED = ("pipeline.yaml", "--data", "cancer=./data", "--cluster", CLUSTER)
LOCKED = (*ASKED, "--lock", "lock.json")
CI = {
    "GITLAB_CI": "true",
    "CI_PROJECT_URL": "https://u:never@gitlab.example/team/model",
    "CI_PIPELINE_URL": "https://gitlab.example/team/model/-/pipelines/7",
    "CI_JOB_NAME": "submit\x1b[31m",
}


@pytest.fixture
def project(animus: CommandLine) -> Path:
    write_project(animus.folder, pipeline())
    return animus.folder


def submit(platform: Platform, animus: CommandLine, *said: str) -> dict[str, Any]:
    """A run that is planned."""
    run: dict[str, Any] = animus.json("run", "submit", *said)
    platform.driver.plan(platform.project_id, run["id"])
    return run


def body_of(animus: CommandLine, run_id: str) -> dict[str, Any]:
    body: dict[str, Any] = animus.json("run", "plan", run_id)["document"]["body"]
    return body


def test_a_run_is_repeated_with_one_change_and_sends_nothing(
    platform: Platform, animus: CommandLine, project: Path
) -> None:
    first = submit(platform, animus, *LOCKED, "-p", "lr=0.1", "-p", "seed=7", "--label", "a=b")
    (project / "train.py").write_text("print('changed since, and not asked for')\n")
    again = submit(platform, animus, "@last", "-p", "lr=0.03")
    assert again["repeats"] == first["id"]
    assert again["uploads"] == {"source": None, "environment_lock": None, "datasets": {}}
    before, after = body_of(animus, first["id"]), body_of(animus, again["id"])
    assert after.pop("parameters") == {"lr": 0.03, "seed": 7}
    assert before.pop("parameters") == {"lr": 0.1, "seed": 7}
    assert after == before
    assert again["labels"] == {"a": "b"}


def test_only_what_differs_is_said(platform: Platform, animus: CommandLine, project: Path) -> None:
    first = submit(platform, animus, *LOCKED, "-p", "lr=0.1")
    done = animus("run", "submit", first["id"][-12:], "-p", "lr=0.03")
    assert done.code == 0, done
    lines = done.out.splitlines()
    assert lines[0].startswith(f"1 change since {first['name']}, ")
    assert [line for line in lines if line.startswith("  ")] == ["  ~ lr: 0.1 → 0.03"]
    assert f"is {first['name']} ({first['id']}" in done.err
    same = animus("run", "submit", first["name"])
    assert same.out.startswith(f"Nothing differs from {first['name']}.\n")


def test_other_code_is_not_taken_for_a_repeat(
    platform: Platform, animus: CommandLine, project: Path
) -> None:
    first = submit(platform, animus, *ASKED)
    for option in (("--code", "."), ("--no-code",), ("--allow-dirty",)):
        code, problem = animus.problem("run", "submit", first["id"], *option)
        assert (code, problem["code"]) == (2, "usage")
    code, problem = animus.problem("run", "submit", "pipelin")
    assert (code, "neither a file nor a run" in problem["detail"]) == (2, True)


def test_a_run_becomes_production_with_the_same_content(
    platform: Platform, animus: CommandLine, project: Path
) -> None:
    first = submit(platform, animus, *LOCKED, "-p", "lr=0.1")
    asked = animus.json("run", "preview", *LOCKED, "-p", "lr=0.1", "--production")
    promoted = animus.json(
        "run", "promote", "@last", "--reason", "good enough", "--ticket", "T-1",
        "--expect", asked["plan_digest"],
    )  # fmt: skip
    assert promoted["promotes"] == first["id"]
    assert (promoted["classification"], promoted["reason"]) == ("production", "good enough")
    assert promoted["previewed_plan_digest"] == asked["plan_digest"]
    assert platform.driver.plan(platform.project_id, promoted["id"]) == "awaiting_approval"
    before, after = body_of(animus, first["id"]), body_of(animus, promoted["id"])
    assert {key for key in after if before[key] != after[key]} == {"classification"}
    code, problem = animus.problem("run", "promote", promoted["id"])
    assert (code, problem["code"]) == (2, "usage")
    assert animus.problem("run", "promote", first["id"], "--expect", "sha256:" + "0" * 64)[0] == 8


def test_all_that_production_lacks_is_named_and_nothing_is_submitted(
    platform: Platform, animus: CommandLine, project: Path
) -> None:
    """The rules are the preview's own: there is no second list of them."""
    (project / "train.py").write_text("print('not committed')\n")
    run = submit(platform, animus, *ASKED, "--allow-dirty")
    before = animus.json("run", "list")["runs"]
    code, problem = animus.problem("run", "promote", "@last")
    assert (code, problem["code"]) == (4, "not_promotable")
    assert [one["code"] for one in problem["errors"]] == [
        "committed-code", "production-environment_unlocked",
    ]  # fmt: skip
    assert all(one["message"] for one in problem["errors"])
    done = animus("run", "promote", run["id"])
    assert done.code == 4
    assert "  committed-code: Production refuses uncommitted code. Commit it." in done.out
    assert f"error: {run['name']} was not promoted: production lacks 2 things" in done.err
    assert animus.json("run", "list")["runs"] == before


def test_a_project_without_production_says_so(
    platform: Platform, animus: CommandLine, project: Path
) -> None:
    with platform.client("admin") as admin:
        made = admin.projects.create(
            unique("lab"), allows_production=False, members={"engineer": ["editor"]}
        )
    here = animus.with_environment(ANIMUS_PROJECT=made["name"])
    run = here.json("run", "submit", *LOCKED)
    platform.driver.plan(made["id"], run["id"])
    code, problem = here.problem("run", "promote", run["id"])
    assert (code, problem["code"]) == (4, "not_promotable")
    assert [one["code"] for one in problem["errors"]] == ["production_not_allowed"]


def test_two_runs_and_their_plans_in_files_are_compared(
    platform: Platform, animus: CommandLine, project: Path
) -> None:
    first = submit(platform, animus, *LOCKED, "-p", "lr=0.1")
    (project / "data" / "a.csv").write_text(unique("other"))
    second = submit(platform, animus, *LOCKED, "-p", "lr=1e-7")
    found = animus.json("run", "diff", first["id"], "@last")
    parts = {part["part"]: part for part in found["parts"] if part["changed"]}
    assert set(parts) == {"data", "parameters"}
    assert "cancer/a.csv" in {one["item"] for one in parts["data"]["changes"]}
    for run in (first, second):
        plan = animus.json("run", "plan", run["id"])
        (project / f"{run['id']}.json").write_text(json.dumps(plan))
    files = [f"{run['id']}.json" for run in (first, second)]
    by_file = animus.json("run", "diff", *files)
    assert by_file["parts"] == found["parts"]
    assert by_file["after"]["plan_digest"] == found["after"]["plan_digest"]
    done = animus("run", "diff", first["id"], second["name"])
    assert "  ~ lr: 0.1 → 1e-7" in done.out
    code, problem = animus.problem("run", "diff", "pipeline.yaml", "@last")
    assert (code, "not JSON" in problem["detail"]) == (2, True)


def test_the_files_of_two_commits_are_told_where_the_clone_has_both(
    platform: Platform, animus: CommandLine, project: Path
) -> None:
    first = submit(platform, animus, *ASKED)
    (project / "train.py").write_text("print('changed')\n")
    (project / "hostile\x1b[31m\n.py").write_text("")
    commit_all(project)
    second = submit(platform, animus, *ASKED)
    found = animus.json("run", "diff", first["id"], second["id"])
    assert found["files"] == [
        {"path": "hostile\x1b[31m\n.py", "change": "new"},
        {"path": "train.py", "change": "changed"},
    ]
    shown = animus("run", "diff", first["id"], second["id"]).out
    assert "files of the commits: 2 changed\n" in shown
    assert "  new hostile\\x1b[31m\\x0a.py" in shown
    assert animus.json("run", "diff", second["id"], second["id"])["files"] is None
    elsewhere = replace(animus, folder=project.parent)
    assert elsewhere.json("run", "diff", first["id"], second["id"])["files"] is None


def test_a_preview_for_a_merge_request_tells_the_difference(
    platform: Platform, animus: CommandLine, project: Path
) -> None:
    """Since the last run of the pipeline and class that was let run."""
    first = animus("run", "preview", *LOCKED, "-p", "lr=0.1", "--markdown")
    assert "**The first of its kind:" in first.out
    run = submit(platform, animus, *LOCKED, "-p", "lr=0.1")
    assert platform.driver.begin(platform.project_id, run["id"]) == "running"
    done = animus("run", "preview", *LOCKED, "-p", "lr=`|<b>\x1b[31m", "--markdown")
    assert done.code == 0
    assert f"**1 change since `{run['name']}`, " in done.out
    assert "- `lr`: `0.1` → `` `\\|<b>\\x1b[31m ``" in done.out
    assert "\x1b" not in done.out


def test_the_job_that_started_a_run_is_told_and_shown(
    platform: Platform, animus: CommandLine, project: Path
) -> None:
    here = animus.with_environment(**CI)
    run = here.json("run", "submit", *ASKED)
    trigger = animus.json("run", "show", run["id"])["trigger"]
    assert trigger == {
        "system": "gitlab", "repository": "https://gitlab.example/team/model",
        "pipeline_url": CI["CI_PIPELINE_URL"], "job": CI["CI_JOB_NAME"],
    }  # fmt: skip
    shown = animus("run", "show", run["id"]).out
    assert "gitlab, job submit\\x1b[31m, https://gitlab.example/team/model/-/pipelines/7" in shown
    outside = animus.json("run", "submit", *ASKED)
    assert animus.json("run", "show", outside["id"])["trigger"] is None
    assert outside["previewed_plan_digest"] == run["previewed_plan_digest"]
