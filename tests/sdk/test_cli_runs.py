"""A governed run by command line: previewed, submitted, approved, executed, looked at."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tests.sdk.attempt_places import forwarded, open_place, start_run
from tests.sdk.command_lines import CommandLine
from tests.sdk.conftest import CommandLineOf
from tests.sdk.platforms import CLUSTER, Finished, Platform, pipeline
from tests.sdk.projects import write_project


@pytest.fixture
def project(animus: CommandLine) -> Path:
    """A folder as an engineer has one: pipeline and code under git, data beside it."""
    folder = animus.folder
    write_project(folder, pipeline())
    return folder


@pytest.fixture
def reviewer(command_line_of: CommandLineOf) -> CommandLine:
    return command_line_of("reviewer")


DATA = ("--data", "cancer=./data", "--cluster", CLUSTER)
WITHOUT_LOCK = ("pipeline.yaml", "--production", *DATA)
ASKED = (*WITHOUT_LOCK, "--lock", "lock.json")


def test_a_governed_run_from_preview_to_artifacts(
    platform: Platform, animus: CommandLine, reviewer: CommandLine, project: Path, tmp_path: Path
) -> None:
    """The command lines of the demo; what they answer is what the demo reads."""
    preview = animus.json("run", "preview", *ASKED, "-p", "C=1.0", "-p", "seed=7")
    assert preview["effect"] == "require_approval"
    missing = sorted(one["what"] for one in preview["missing"])
    assert missing == ["dataset_version", "environment_lock", "source"]
    digest = preview["plan_digest"]

    run = animus.json(
        "run", "submit", *ASKED, "-p", "C=1.0", "-p", "seed=7", "--expect", digest,
        "--reason", "first model",
    )  # fmt: skip
    assert run["previewed_plan_digest"] == digest
    assert run["uploads"]["datasets"]["cancer"]["uploaded"] == 1
    assert animus.json("run", "preview", *ASKED, "-p", "C=1.0", "-p", "seed=7")["missing"] == []

    assert platform.driver.plan(platform.project_id, run["id"]) == "awaiting_approval"
    waited = animus.json("run", "wait", run["id"], "--for", "approval", "--timeout", "60", code=3)
    assert waited["state"] == "awaiting_approval"
    plan = animus.json("run", "plan", run["id"])
    body = plan["document"]["body"]
    assert plan["plan_digest"] == digest
    assert [step["spec"]["name"] for step in body["steps"]] == ["train"]
    assert body["code"]["state"] == "proved"
    assert plan["document"]["gates"][0]["quorum"] == 1

    review = reviewer.json("approvals", "show", run["id"])["reviews"][0]
    assert review["document"]["plan_digest"] == digest
    decided = reviewer.json(
        "approve", run["id"], "--plan-digest", digest, "--review-digest", review["review_digest"],
        "--reason", "data and code read",
    )  # fmt: skip
    assert decided["gate"]["closing"] == "satisfied"

    _execute(platform, tmp_path, run["id"])
    detail = animus.json("run", "show", run["id"])
    assert (detail["state"], detail["steps"][0]["state"]) == ("succeeded", "succeeded")
    assert detail["ended_at"] is not None
    shown = animus.json("approvals", "show", run["id"])
    (decision,) = shown["gates"][0]["decisions"]
    assert (decision["principal"], decision["reason"]) == ("reviewer", "data and code read")

    artifacts = {
        one["kind"]: one for one in animus.json("run", "artifacts", run["id"])["artifacts"]
    }
    target = tmp_path / "model"
    animus.json("artifact", "download", artifacts["file"]["id"], "--to", str(target))
    assert target.read_bytes() == b"model"
    assert "trained\\x1b[31m" in animus("run", "logs", run["name"]).out
    (line,) = map(json.loads, animus("run", "logs", run["id"], "--json").out.splitlines())
    assert (line["step"], line["attempt"], line["text"]) == ("train", 1, "trained\x1b[31m")


def test_a_pasted_preview_is_markdown_and_writes_nothing(
    animus: CommandLine, project: Path
) -> None:
    before = [animus.json(noun, "list") for noun in ("dataset", "pipeline", "env")]
    done = animus("run", "preview", *ASKED, "--markdown")
    assert done.code == 0
    assert done.out.startswith("### Animus preview: needs approval\n")
    assert (
        "- `reviewer: 1 decision by role reviewer within 3 d (now: colleague, reviewer)`"
        in done.out
    )
    assert [animus.json(noun, "list") for noun in ("dataset", "pipeline", "env")] == before
    assert "\x1b" not in done.out


def test_without_a_terminal_it_is_plain_words(animus: CommandLine, project: Path) -> None:
    done = animus.process("run", "submit", *ASKED)
    assert done.code == 0
    assert "\x1b" not in done.out + done.err
    assert "Submitted" in done.out
    assert "Pushed cancer@" in done.err
    run_id = done.err.rpartition("animus run watch ")[2].strip()
    listed = animus("run", "list")
    assert run_id[-8:] in listed.out
    assert listed.out.splitlines()[0].split() == [
        "ID", "NAME", "PIPELINE", "STATE", "FOR", "BY", "MADE",
    ]  # fmt: skip


def test_a_second_submit_sends_nothing_and_has_the_same_plan(
    animus: CommandLine, project: Path
) -> None:
    first = animus.json("run", "submit", *ASKED)
    again = animus.json("run", "submit", *ASKED)
    assert again["id"] != first["id"]
    assert again["previewed_plan_digest"] == first["previewed_plan_digest"]
    assert again["uploads"] == {"source": None, "environment_lock": None, "datasets": {}}


def test_what_is_not_committed_is_named_and_runs_only_where_it_is_allowed(
    animus: CommandLine, project: Path
) -> None:
    (project / "train.py").write_text("print(2)\n")
    code, problem = animus.problem("run", "submit", *ASKED)
    assert (code, problem["code"]) == (2, "uncommitted_changes")
    assert "train.py" in problem["detail"]
    assert animus.problem("run", "submit", *ASKED, "--allow-dirty")[0] == 2
    development = ("pipeline.yaml", *DATA, "--allow-dirty")
    preview = animus.json("run", "preview", *development)
    assert preview["plan"]["body"]["code"]["state"] == "uncommitted"
    assert {one["code"] for one in preview["limitations"]} >= {"code_uncommitted"}
    assert animus.json("run", "submit", *development)["classification"] == "development"


def test_a_plan_other_than_expected_is_not_submitted(animus: CommandLine, project: Path) -> None:
    digest = animus.json("run", "preview", *ASKED)["plan_digest"]
    before = animus.json("run", "list")["runs"]
    changed = (*ASKED, "-p", "C=2.0", "--expect", digest)
    assert animus.problem("run", "submit", *changed)[0] == 8
    assert animus.json("run", "list")["runs"] == before
    done = animus("run", "preview", *changed)
    assert done.code == 8
    assert "error: The plan is now" in done.err


def test_what_a_policy_denies_is_not_submitted(animus: CommandLine, project: Path) -> None:
    """Built in: production names an environment lock."""
    before = animus.json("run", "list")["runs"]
    code, problem = animus.problem("run", "submit", *WITHOUT_LOCK)
    assert (code, problem["code"]) == (4, "policy_denied")
    assert animus.json("run", "preview", *WITHOUT_LOCK, code=4)["effect"] == "deny"
    assert animus.json("run", "list")["runs"] == before


def test_what_the_server_lacks_and_nobody_has_here_is_named(
    animus: CommandLine, project: Path
) -> None:
    absent = ("pipeline.yaml", "--data", f"cancer=sha256:{'0' * 64}", "--cluster", CLUSTER)
    code, problem = animus.problem("run", "submit", *absent)
    assert (code, problem["code"]) == (2, "missing_inputs")
    assert "cancer: Push the dataset" in problem["detail"]


def test_a_run_that_failed_is_explained(platform: Platform, animus: CommandLine) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    attempt = platform.driver.open_attempt(platform.project_id, run_id, "train")
    failure = {"failure_class": "user", "code": "exit_code", "message": "Exit code 1\x1b[2J."}
    platform.driver.close_attempt(platform.project_id, attempt, outcome="failed", failure=failure)
    assert platform.driver.finalise(platform.project_id, run_id) == "failed"
    done = animus("run", "wait", run_id)
    assert done.code == 5
    assert "step train, attempt 1 failed (user, exit_code): Exit code 1\\x1b[2J." in done.out
    assert f"animus run logs {run_id}" in done.err
    assert animus("run", "watch", run_id).code == 5
    assert animus.json("run", "show", run_id)["failure_class"] == "user"


def test_what_an_attempt_took_is_shown_and_why_something_is_not(
    platform: Platform, animus: CommandLine
) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    attempt = platform.driver.open_attempt(platform.project_id, run_id, "train")
    usage = {
        "cpu_milliseconds": 1_250, "bytes_in": 0, "bytes_out": 2048,
        "unknown": {"peak_memory_bytes": "The kernel keeps no such account here.\x1b[2J"},
    }  # fmt: skip
    failure = {"failure_class": "user", "code": "exit_code", "message": "exited with 1"}
    platform.driver.close_attempt(
        platform.project_id, attempt, outcome="failed", failure=failure, usage=usage
    )
    done = animus("run", "show", run_id)
    (line,) = [each for each in done.out.splitlines() if "1.2 s" in each]
    assert line.split() == ["train", "1", "–", "1.2", "s", "–", "0", "B", "2.0", "KiB"]
    assert "– The kernel keeps no such account here.\\x1b[2J" in done.err
    shown = animus.json("run", "show", run_id)["steps"][0]["attempts"][0]["usage"]
    assert shown == usage | {"peak_memory_bytes": None}


def test_a_canceled_run_ends_with_its_own_code(platform: Platform, animus: CommandLine) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    assert animus.json("run", "wait", run_id, "--timeout", "0", code=75)["state"] == "running"
    assert animus.json("run", "cancel", run_id, "--reason", "no need")["id"] == run_id
    assert platform.driver.finalise(platform.project_id, run_id) == "canceled"
    assert animus("run", "wait", run_id[-12:]).code == 6
    assert animus.problem("approvals", "show", run_id)[1]["code"] == "no_open_gate"


def test_who_watches_is_told_of_changes_and_of_the_end(
    platform: Platform, animus: CommandLine
) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    watched: list[Finished] = []
    watching = threading.Thread(
        target=lambda: watched.append(animus.process("run", "watch", run_id))
    )
    watching.start()
    attempt = platform.driver.open_attempt(platform.project_id, run_id, "train")
    failure = {"failure_class": "user", "code": "exit_code", "message": "Exit code 1."}
    platform.driver.close_attempt(platform.project_id, attempt, outcome="failed", failure=failure)
    platform.driver.finalise(platform.project_id, run_id)
    watching.join(60)
    (done,) = watched
    assert done.code == 5
    assert {"run: failed", "step train: failed"} <= set(done.out.splitlines())


def test_events_are_told_in_order_and_from_where_one_says(
    platform: Platform, animus: CommandLine
) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    events = animus.json("run", "events", run_id)
    assert [event["action"] for event in events][:2] == ["run.submitted", "run.planned"]
    later = animus.json("run", "events", run_id, "--after", str(events[0]["index"]))
    assert later == events[1:]
    animus("run", "cancel", run_id)
    platform.driver.finalise(platform.project_id, run_id)
    followed = animus("run", "events", run_id, "--follow", "--json").out.splitlines()
    assert json.loads(followed[-1])["action"] == "run.canceled"
    assert len(followed) > len(events)


def _execute(platform: Platform, folder: Path, run_id: str) -> None:
    """What worker and agent do once it is approved."""
    assert platform.driver.begin(platform.project_id, run_id) == "running"
    root = folder / "attempt-root"
    root.mkdir()
    place = open_place(platform, root, run_id)
    with forwarded(platform, place):
        assert place.run("fetch").code == 0
        (place.out / "model").write_bytes(b"model")
        (place.directory / "main.log").write_text("trained\x1b[31m\n")
        place.ask({"name": "model", "path": "model"}, log="main.log")
        assert place.run("collect").code == 0
    report = place.report("collect")
    platform.driver.close_attempt(
        platform.project_id, place.attempt, outputs=report["outputs"], log=report["log"]
    )
    assert platform.driver.finalise(platform.project_id, run_id) == "succeeded"


def test_a_run_whose_agent_is_away_says_so(platform: Platform, animus: CommandLine) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    (cluster,) = [one for one in animus.json("cluster", "list") if one["name"] == CLUSTER]
    assert cluster["agent"] == {"state": "away", "seen_at": None, "version": None}
    listed = animus("cluster", "list").out.splitlines()
    (row,) = [line.split() for line in listed if line.startswith(CLUSTER)]
    assert row[-2:] == ["away", "never"]
    platform.driver.look_at_agents()
    found = animus.json("run", "list", "--waiting-for", "agent")
    assert run_id in [run["id"] for run in found["runs"]]
    shown = " ".join(animus("run", "show", run_id).out.split())
    assert "waits for agent" in shown
    assert f"The agent of cluster '{CLUSTER}' was never heard of. Who runs the cluster" in shown
    animus.json("run", "cancel", run_id)
    platform.driver.finalise(platform.project_id, run_id)
    assert "was never heard of" not in animus("run", "show", run_id).out
