"""What a person sees who sits before it: colour, questions, a live table; and how to leave."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.sdk.attempt_places import start_run
from tests.sdk.command_lines import CommandLine
from tests.sdk.conftest import CommandLineOf
from tests.sdk.platforms import CLUSTER, Platform, pipeline, unique

RED, CYAN = "\x1b[31m", "\x1b[36m"


@pytest.fixture
def waiting(platform: Platform, animus: CommandLine) -> str:
    """A production run that waits for its approval; its reason is hostile."""
    (animus.folder / "pipeline.yaml").write_text(json.dumps(pipeline()))
    (animus.folder / "data").mkdir()
    (animus.folder / "data" / "a.csv").write_text(unique("a"))
    with platform.client() as client:
        pushed = client.datasets.push(unique("cancer"), [animus.folder / "data"])
    request = {
        "classification": "production",
        "cluster": CLUSTER,
        "pipeline": json.loads((animus.folder / "pipeline.yaml").read_text()),
        "datasets": {"cancer": {"digest": pushed.version["digest"]}},
        "code": {"repo_url": "https://git.example/x", "commit": "a" * 40, "state": "claimed"},
        "environment_lock": {"id": _lock(platform)},
        "reason": "[bold]first[/bold] \x1b[2Jmodel",
    }
    with platform.client() as client:
        run_id = client.runs.submit(request)["id"]
    assert platform.driver.plan(platform.project_id, run_id) == "awaiting_approval"
    return run_id


def test_a_reviewer_sees_the_plan_and_is_asked(
    platform: Platform, command_line_of: CommandLineOf, waiting: str
) -> None:
    with command_line_of("reviewer").on_terminal("approve", waiting[-12:]) as person:
        person.wait_for("Approve this plan of")
        assert "[bold]first[/bold] \\x1b[2Jmodel" in person.shown
        assert "What differs from the plan approved last" in person.shown
        assert "python train.py" in person.shown
        person.type("y\n")
        person.wait_for("Reason:")
        person.type("read it\n")
        assert person.end() == 0
    with platform.client() as client:
        (gate,) = client.runs.gates(waiting)
    assert [(d["verdict"], d["reason"]) for d in gate["decisions"]] == [("approve", "read it")]
    assert gate["decisions"][0]["review_digest"] == gate["review_digest"]
    for named in (gate["review_digest"], gate["decisions"][0]["audit_event_id"]):
        assert named is not None
        assert named in person.shown


@pytest.mark.parametrize("answer", ["n", "", "yess", "\x04"])
def test_whatever_is_not_yes_decides_nothing(
    platform: Platform, command_line_of: CommandLineOf, waiting: str, answer: str
) -> None:
    with command_line_of("reviewer").on_terminal("reject", waiting) as person:
        person.wait_for("Reject this plan of")
        person.type(answer + "\n")
        assert person.end() == 0
        assert "Nothing was decided." in person.shown
    with platform.client() as client:
        assert client.runs.gates(waiting)[0]["decisions"] == []


def test_a_decision_is_taken_back_and_made_again(
    platform: Platform, command_line_of: CommandLineOf, waiting: str
) -> None:
    reviewer = command_line_of("reviewer")
    read = reviewer.json("approvals", "show", waiting)["reviews"][0]["review_digest"]
    approving = ("approve", waiting, "--review-digest", read, "--reason", "read it")
    first = reviewer.json(*approving)
    assert reviewer("approvals", "withdraw", waiting).code == 2  # no reason, and nobody to ask
    with reviewer.on_terminal("approvals", "withdraw", waiting[-12:]) as person:
        person.wait_for("That is: approve on gate")
        person.wait_for("Reason:")
        person.type("[bold]wrong[/bold] run\n")
        assert person.end() == 0
        assert "Withdrew the approval of the plan of" in person.shown
        assert "[bold]wrong[/bold] run" in person.shown
        assert "The gate needs 1 more decision." in person.shown
    for looking in (("approvals", "show"), ("run", "show")):
        shown = reviewer(*looking, waiting).out
        assert "withdrawn by" in shown
        assert "[bold]wrong[/bold] run" in shown
    assert reviewer.json("run", "show", waiting)["gates"][0]["decisions"][0]["withdrawal"]
    second = reviewer.json(*approving)
    assert second["gate"]["closing"] == "satisfied"
    assert [one["withdrawal"] is None for one in second["gate"]["decisions"]] == [False, True]
    code, problem = reviewer.problem(
        "approvals", "withdraw", first["decision"]["id"], "--reason", "again"
    )
    assert (code, problem["code"]) == (1, "already_withdrawn")
    taken = reviewer.json("approvals", "withdraw", f"{waiting}/reviewer", "--reason", "again")
    assert taken["decision"]["id"] == second["decision"]["id"]
    assert taken["gate"]["closing"] is None
    code, problem = reviewer.problem("approvals", "withdraw", waiting, "--reason", "again")
    assert (code, problem["code"]) == (2, "not_found")
    own = reviewer("approvals", "--decided", "--mine").out
    assert "approve, withdrawn" in own


def test_a_colleague_decides_in_the_place_of_the_reviewer(
    command_line_of: CommandLineOf, waiting: str
) -> None:
    reviewer, colleague = command_line_of("reviewer"), command_line_of("colleague")
    asking = ("approvals", "delegate", "--until", _in_days(7), "--reason", "away")
    code, problem = reviewer.problem(*asking, "engineer")
    assert (code, problem["code"]) == (1, "delegate_unfit")
    with reviewer.on_terminal("approvals", "delegate", "colleague", "--until", _in_days(7)) as one:
        one.wait_for("Reason:")
        one.type("[bold]away[/bold]\n")
        assert one.end() == 0
        assert "colleague decides in your place as reviewer until" in one.shown
    (made,) = reviewer.json("approvals", "delegations", "--mine")
    listed = colleague("approvals", "delegations").out
    assert made["id"][-8:] in listed
    assert "[bold]away[/bold]" in listed
    (gate,) = [one for one in colleague.json("approvals") if one["run_id"] == waiting]
    assert [one["delegator"] for one in gate["stand_ins"]] == ["reviewer"]
    read = gate["review_digest"]
    approving = ("approve", waiting, "--review-digest", read, "--reason", "read it")
    code, problem = colleague.problem(*approving, "--in-place-of", "nobody")
    assert (code, problem["code"]) == (2, "not_found")
    decided = colleague.json(*approving, "--in-place-of", "reviewer")
    assert decided["decision"]["in_place_of"] == "reviewer"
    assert "colleague in place of reviewer: approve" in reviewer("approvals", "show", waiting).out
    ended = reviewer.json("approvals", "undelegate", made["id"][-8:])
    assert ended["revoked_at"] is not None
    again = reviewer("approvals", "undelegate", made["id"][-8:])
    assert "colleague does not decide in the place of reviewer as reviewer any more." in again.out
    assert reviewer.json("approvals", "delegations") == []
    assert "taken back" in reviewer("approvals", "delegations", "--all").out
    assert reviewer("approvals", "delegate", "colleague", "--until", "soon").code == 2


def test_without_a_terminal_nobody_approves_what_he_has_not_seen(
    command_line_of: CommandLineOf, waiting: str
) -> None:
    reviewer = command_line_of("reviewer")
    assert reviewer("approve", waiting, "--reason", "x").code == 2
    other = "sha256:" + "0" * 64
    code, problem = reviewer.problem("approve", waiting, "--reason", "x", "--plan-digest", other)
    assert (code, problem["code"]) == (8, "plan_digest_mismatch")
    shown = reviewer.json("approvals", "show", waiting)
    digest, read = shown["plan"]["plan_digest"], shown["reviews"][0]["review_digest"]
    assert reviewer("approve", waiting, "--review-digest", read).code == 2  # no reason
    plan_only = reviewer("approve", waiting, "--plan-digest", digest, "--reason", "x")
    assert plan_only.code == 2
    assert "--review-digest" in plan_only.err
    code, problem = reviewer.problem("approve", waiting, "--reason", "x", "--review-digest", other)
    assert (code, problem["code"]) == (8, "review_mismatch")
    inbox = reviewer.json("approvals")
    assert waiting in {gate["run_id"] for gate in inbox}
    rejected = ("reject", waiting, "--review-digest", read, "--reason", "no")
    meant = ("--meaning", "took_responsibility")
    decided = reviewer.json(*rejected, *meant)
    assert decided["gate"]["closing"] == "rejected"
    assert decided["decision"]["meaning"] == "took_responsibility"
    code, problem = reviewer.problem(*rejected)
    assert (code, problem["code"]) == (2, "no_open_gate")


def test_nobody_approves_his_own_run(animus: CommandLine, waiting: str) -> None:
    read = animus.json("approvals", "show", waiting)["reviews"][0]["review_digest"]
    done = animus("approve", waiting, "--review-digest", read, "--reason", "mine")
    assert done.code == 7


def test_a_watched_run_goes_on_after_ctrl_c(platform: Platform, animus: CommandLine) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    with animus.on_terminal("run", "watch", run_id) as person:
        person.wait_for("train")
        person.interrupt()
        assert person.end() == 130
        assert f"The run goes on. To look again: animus run watch {run_id}" in person.shown
        assert "Traceback" not in person.shown
    with platform.client() as client:
        assert client.runs.get(run_id)["state"] == "running"


def test_a_live_table_shows_steps_until_the_end(platform: Platform, animus: CommandLine) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    with animus.on_terminal("run", "watch", run_id) as person:
        person.wait_for("running")
        attempt = platform.driver.open_attempt(platform.project_id, run_id, "train")
        person.wait_for("ATTEMPT")
        failure = {"failure_class": "user", "code": "exit_code", "message": "Exit\x1b[2J 1."}
        platform.driver.close_attempt(
            platform.project_id, attempt, outcome="failed", failure=failure
        )
        platform.driver.finalise(platform.project_id, run_id)
        assert person.end() == 5
        assert f"{RED}failed" in person.shown
        assert "\x1b[2J" not in person.shown


def test_colour_is_for_terminals_that_want_it(platform: Platform, animus: CommandLine) -> None:
    start_run(platform, {"pipeline": pipeline(data=False)})
    with animus.on_terminal("run", "list") as person:
        assert person.end() == 0
        assert CYAN in person.shown
    with animus.with_environment(NO_COLOR="1").on_terminal("run", "list") as person:
        assert person.end() == 0
        assert CYAN not in person.shown
    piped = animus.with_environment(FORCE_COLOR="1", CLICOLOR_FORCE="1").process("run", "list")
    assert "\x1b" not in piped.out + piped.err


def test_a_token_is_asked_for_without_showing_it(
    platform: Platform, command_line_of: CommandLineOf, home: Path
) -> None:
    nobody = command_line_of(None)
    with nobody.on_terminal("login") as person:
        person.wait_for("Token for")
        person.type(platform.tokens["engineer"] + "\n")
        assert person.end() == 0
        assert platform.tokens["engineer"] not in person.shown
    assert (home / ".config/animus/config.toml").stat().st_mode & 0o777 == 0o600
    assert nobody.json("whoami")["name"] == "engineer"


def test_an_upload_has_a_bar_on_a_terminal_only(animus: CommandLine) -> None:
    (animus.folder / "data").mkdir()
    (animus.folder / "data" / "large").write_bytes(unique("x").encode() * 500_000)
    with animus.on_terminal("dataset", "push", unique("bar"), "data") as person:
        assert person.end() == 0
        assert "uploading" in person.shown
    (animus.folder / "data" / "large").write_bytes(unique("y").encode() * 500_000)
    piped = animus.process("dataset", "push", unique("bar"), "data")
    assert "uploading" not in piped.out + piped.err


def _in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def _lock(platform: Platform) -> str:
    image = {"name": "runtime", "repository": "localhost/animus-demo", "platform": "linux/amd64"}
    with platform.client() as client:
        digest = "sha256:" + "a" * 64
        document = {"images": [{**image, "manifest_digest": digest}], "packages": []}
        return client.environments.register_lock("demo", document)["id"]
