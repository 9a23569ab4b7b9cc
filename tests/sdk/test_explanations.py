"""When a run goes wrong: failed steps tell their story, one page explains where a run stands."""

from __future__ import annotations

import json
import re

import pytest

from animus.adapters.kubernetes.names import ATTEMPT_ID, job_name
from animus.domain.work_orders import WorkOrder
from tests.sdk.attempt_places import commit_all, start_run
from tests.sdk.command_lines import CommandLine
from tests.sdk.conftest import CommandLineOf
from tests.sdk.drivers import Signer
from tests.sdk.platforms import CLUSTER, Platform, pipeline, unique
from tests.sdk.talks import Talk, begin, line

HOSTILE = "\x1b]0;owned\x07\u202eevil"


@pytest.fixture
def run_id(platform: Platform) -> str:
    return start_run(platform, {"pipeline": pipeline(data=False, attempts=2)})


@pytest.fixture
def failed(platform: Platform, run_id: str) -> str:
    """It said more than is shown, and failed for good."""
    talk = begin(platform, run_id)
    talk.say(*(line(number) for number in range(40)), line(40, HOSTILE), line(41, "x" * 5_000))
    _fail(platform, talk)
    return run_id


def _fail(platform: Platform, talk: Talk) -> None:
    talk.end()
    assert platform.driver.finalise(platform.project_id, talk.run_id) == "failed"


def flat(out: str) -> str:
    return " ".join(out.split())


@pytest.mark.parametrize("command", ["wait", "watch", "show", "explain"])
def test_a_failed_step_tells_whose_it_is_why_its_last_words_and_what_next(
    animus: CommandLine, failed: str, command: str
) -> None:
    out = animus("run", command, failed).out
    assert "step train, attempt 1 failed (data, exit_code): Exit code 1." in out
    assert "It lies with the data" in out
    assert "the last 20 lines of its log:" in out
    assert "    | line 22\n" in out
    assert "line 21\n" not in out
    assert "\\x1b]0;owned\\x07\\u202eevil" in out
    assert f"{'x' * 400}… (4600 more)\n" in out
    assert f"its whole log: animus run logs {failed} train --attempt 1" in out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)


def test_on_a_terminal_it_is_as_harmless(animus: CommandLine, failed: str) -> None:
    with animus.on_terminal("run", "explain", failed) as terminal:
        assert terminal.end() == 0
    assert "the last 20 lines" in terminal.shown
    assert not {"\x07", "\u202e"} & set(terminal.shown)
    assert "\x1b]" not in terminal.shown


def test_a_step_that_left_no_log_says_so(
    platform: Platform, animus: CommandLine, run_id: str
) -> None:
    attempt = platform.driver.open_attempt(platform.project_id, run_id, "train")
    failure = {"failure_class": "environment", "code": "image_unavailable", "message": "No image."}
    platform.driver.close_attempt(platform.project_id, attempt, outcome="failed", failure=failure)
    platform.driver.finalise(platform.project_id, run_id)
    out = animus("run", "wait", run_id).out
    assert "It left no log." in out
    assert "It lies with the step's image" in out
    (log,) = animus.json("run", "explain", run_id)["logs"]
    assert (log["lines"], log["why_none"]) == ([], "It left no log.")


def test_what_is_tried_again_is_told_without_its_log(
    platform: Platform, animus: CommandLine, run_id: str
) -> None:
    talk = begin(platform, run_id)
    talk.say(line(1, "first try"))
    talk.end(is_tried_again=True)
    out = animus("run", "show", run_id).out
    assert "step train, attempt 1 failed (user, exit_code)" in out
    assert "first try" not in out


def test_a_failed_run_is_explained_with_its_traces(
    platform: Platform, animus: CommandLine, failed: str
) -> None:
    found = animus.json("run", "explain", failed)
    assert found["run"]["state"] == "failed"
    assert found["workflow_id"] == failed
    assert found["submitted_by_request"]
    (place,) = found["places"]
    assert (place["step"], place["attempt"]) == ("train", 1)
    assert place["name"].endswith(f"{place['attempt_id']}-main")
    assert place["selector"] == f"animus.attempt={place['attempt_id']}"
    assert place["claimed_at"] is not None
    assert found["cluster"]["host"] == "tests"
    last = {event["origin"]: event for event in found["last"]}
    assert last["api"]["action"] == "run.submitted"
    assert last["api"]["request_id"] == found["submitted_by_request"]
    assert last["api"]["actor"] == "engineer"
    assert last["workflow"]["action"] == "run.failed"
    assert (last["agent"]["action"], last["agent"]["step"]) == ("attempt.closed", "train")
    (log,) = found["logs"]
    assert len(log["lines"]) == 20
    out = animus("run", "explain", failed).out
    assert f"podman ps --all --filter label={place['selector']} (on tests)" in out
    assert f"request {found['submitted_by_request']}" in out
    assert "a line of train's log" in out


def test_a_running_step_is_explained_with_what_it_says(
    platform: Platform, animus: CommandLine, run_id: str
) -> None:
    talk = begin(platform, run_id)
    talk.say(line(1, "epoch 1"))
    done = animus("run", "explain", run_id)
    assert "is running, waits for" in done.out
    assert "step train, attempt 1 runs" in done.out
    assert "    | epoch 1" in done.out
    assert f"animus run watch {run_id}" in done.err
    talk.end()


def test_a_new_run_is_explained_before_anything_ran(
    platform: Platform, animus: CommandLine
) -> None:
    (animus.folder / "p.json").write_text(json.dumps(pipeline(data=False)))
    asked = ("run", "submit", "p.json", "--no-code", "--cluster", CLUSTER)
    run = animus.json(*asked)
    out = flat(animus("run", "explain", run["id"]).out)
    assert "is created, waits for planning" in out
    assert re.search(r" until \S+ \S+ \(in 1[45] min", out)  # it is rounded to the second
    assert "(not begun)" in out
    assert "agent nothing step nothing" in out
    animus.json("run", "cancel", run["id"])


def test_a_run_that_awaits_approval_is_explained_with_its_gate(
    platform: Platform, animus: CommandLine
) -> None:
    folder = animus.folder
    (folder / "pipeline.yaml").write_text(json.dumps(pipeline()))
    (folder / "data").mkdir()
    (folder / "data" / "a.csv").write_text(unique("data"))
    (folder / ".gitignore").write_text("data/\n")
    image = {
        "name": "runtime", "repository": "localhost/animus-demo", "platform": "linux/amd64",
        "manifest_digest": "sha256:" + "a" * 64,
    }  # fmt: skip
    (folder / "lock.json").write_text(json.dumps({"images": [image], "packages": []}))
    (folder / unique("code")).touch()
    commit_all(folder)
    run = animus.json(
        "run", "submit", "pipeline.yaml", "--production", "--lock", "lock.json",
        "--data", "cancer=./data",
        "--cluster", CLUSTER,
    )  # fmt: skip
    assert platform.driver.plan(platform.project_id, run["id"]) == "awaiting_approval"
    done = animus("run", "explain", run["id"])
    assert "is awaiting approval, waits for approval" in done.out
    assert "needs 1 × reviewer, until" in done.out
    assert f"animus approvals show {run['id']}" in done.err
    (gate,) = animus.json("run", "explain", run["id"])["gates"]
    assert (gate["role"], gate["quorum"]) == ("reviewer", 1)


def test_a_run_without_an_agent_is_explained(
    platform: Platform, animus: CommandLine, run_id: str
) -> None:
    platform.driver.open_attempt(platform.project_id, run_id, "train")
    platform.driver.look_at_agents()
    out = flat(animus("run", "explain", run_id).out)
    assert "is running, waits for agent" in out
    assert "its agent was never heard of" in out
    assert "by no agent yet" in out


def test_a_run_rejected_by_drift_is_explained_with_what_differs(
    platform: Platform, animus: CommandLine
) -> None:
    written = pipeline(data=False)
    with platform.client() as client:
        asked = {"cluster": CLUSTER, "pipeline": written}
        seen = client.runs.preview({**asked, "parameters": {"C": 1}})
        run_id = client.runs.submit({
            **asked, "parameters": {"C": 2},
            "expected_plan_digest": seen["plan_digest"], "expected_plan": seen["plan"],
        })["id"]  # fmt: skip
    platform.driver.plan(platform.project_id, run_id)
    assert platform.driver.finalise(platform.project_id, run_id) == "rejected"
    done = animus("run", "explain", run_id)
    assert "is rejected: policy: plan drift" in done.out
    assert "parameters, C: 1 → 2" in done.out
    assert f"animus run plan {run_id}" in done.err


def test_an_expired_run_is_explained(platform: Platform, animus: CommandLine, run_id: str) -> None:
    platform.driver.pass_deadline(platform.project_id, run_id)
    assert platform.driver.finalise(platform.project_id, run_id) == "expired"
    out = animus("run", "explain", run_id).out
    assert "is expired: platform: run deadline" in out
    assert "The run took longer than its worst case" in out


def test_a_queued_run_is_explained_with_its_place(
    platform: Platform, animus: CommandLine, command_line_of: CommandLineOf
) -> None:
    admin = command_line_of("admin")
    ahead = start_run(platform, {"pipeline": pipeline(data=False)})
    in_use = admin.json("project", "quota", "show")["use"]
    (runs,) = [one["used"].split()[0] for one in in_use if one["resource"] == "runs"]
    admin.json("project", "quota", "set", f"runs={runs}", "--reason", "full")
    try:
        with platform.client() as client:
            asked = {"pipeline": pipeline(data=False), "cluster": CLUSTER}
            run_id = client.runs.submit(asked)["id"]
        platform.driver.plan(platform.project_id, run_id)
        platform.driver.begin(platform.project_id, run_id)
        done = animus("run", "explain", run_id)
    finally:
        admin.json("project", "quota", "set", "runs=none", "--reason", "no more")
        for one in (run_id, ahead):
            animus.json("run", "cancel", one)
            platform.driver.finalise(platform.project_id, one)
    assert "waits for quota_exceeded" in done.out
    assert "The project's quota has no room now" in done.out
    assert "animus queue show" in done.err


def test_a_job_is_named_as_its_agent_names_it_and_no_namespace_is_told(
    platform: Platform, animus: CommandLine
) -> None:
    name = unique("north")
    with platform.client("admin") as admin:
        key = Signer().public_key.hex()
        made = admin.clusters.register(
            name, executor="kubernetes", runtime="default", result_key=key
        )
        try:
            run_id = start_run(platform, {"pipeline": pipeline(data=False), "cluster": name})
            attempt = platform.driver.open_attempt(platform.project_id, run_id, "train")
            (place,) = animus.json("run", "explain", run_id)["places"]
            out = animus("run", "explain", run_id).out
        finally:
            admin.clusters.retire(made["cluster"]["id"])
    order = WorkOrder.model_validate_json(attempt.order)
    assert (place["name"], place["claimed_at"]) == (job_name(order), None)
    assert f"kubectl get jobs,pods --all-namespaces --selector {ATTEMPT_ID}={attempt.id}" in out


def test_who_may_not_read_a_run_gets_no_explanation(
    platform: Platform, animus: CommandLine, command_line_of: CommandLineOf, failed: str
) -> None:
    stranger = unique("stranger")
    with platform.client("admin") as admin:
        person = admin.principals.create_person(stranger)
        token = admin.principals.issue_person_token(person["id"], name="tests", days=1)["secret"]
    asked = command_line_of(None).with_environment(
        ANIMUS_AUTH_TOKEN=token or "", ANIMUS_PROJECT=platform.project_id
    )
    code, problem = asked.problem("run", "explain", failed)
    assert (code, problem["status"]) == (2, 404)
