"""Asking and answering on the command line: who asks is a reviewer, who answers the engineer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sdk.command_lines import CommandLine
from tests.sdk.conftest import CommandLineOf
from tests.sdk.platforms import CLUSTER, IMAGE, Platform, pipeline, unique

HOSTILE = "why\x1b[2J\x1b]0;owned\x07 \u202eso early?"
SHOWN = "why\\x1b[2J\\x1b]0;owned\\x07 \\u202eso early?"


@pytest.fixture
def waiting(platform: Platform, tmp_path: Path) -> str:
    """A production run that waits for its approval, by id."""
    image = {
        "name": "runtime", "repository": "localhost/animus-demo", "platform": "linux/amd64",
        "manifest_digest": IMAGE.partition("@")[2],
    }  # fmt: skip
    (tmp_path / "a.csv").write_text(unique("a"))
    with platform.client() as client:
        pushed = client.datasets.push(unique("cancer"), [tmp_path / "a.csv"])
        lock = client.environments.register_lock("demo", {"images": [image], "packages": []})
        request = {
            "classification": "production",
            "cluster": CLUSTER,
            "pipeline": pipeline(),
            "datasets": {"cancer": {"digest": pushed.version["digest"]}},
            "code": {"repo_url": "https://git.example/x", "commit": "a" * 40, "state": "claimed"},
            "environment_lock": {"id": lock["id"]},
        }
        run_id = client.runs.submit(request)["id"]
    assert platform.driver.plan(platform.project_id, run_id) == "awaiting_approval"
    return run_id


@pytest.fixture
def reviewer(command_line_of: CommandLineOf) -> CommandLine:
    return command_line_of("reviewer")


def test_a_question_is_asked_seen_and_answered(
    animus: CommandLine, reviewer: CommandLine, waiting: str
) -> None:
    asked = reviewer("approvals", "ask", waiting, HOSTILE)
    assert asked.code == 0, asked
    assert "Question 1 about" in asked.out
    for command in (("run", "show"), ("run", "explain")):
        shown = animus(*command, waiting)
        assert f"question 1, asked by reviewer: {SHOWN}" in shown.out
        assert f"animus run answer {waiting}/1 TEXT" in shown.err
    said = animus("run", "answer", waiting[-12:], "[bold]because[/bold]")
    assert said.code == 0, said
    assert "Question 1 of reviewer is answered." in said.out
    for who, command in (
        (animus, ("run", "show")),
        (animus, ("run", "explain")),
        (reviewer, ("approvals", "show")),
    ):
        shown = who(*command, waiting)
        assert f"question 1, asked by reviewer: {SHOWN}" in shown.out
        assert "answered by engineer: [bold]because[/bold]" in shown.out
        assert "run answer" not in shown.err


def test_who_watches_is_told_of_questions_as_they_come(
    platform: Platform, animus: CommandLine, reviewer: CommandLine, waiting: str
) -> None:
    with animus.on_terminal("run", "watch", waiting) as person:
        person.wait_for("awaiting approval")
        assert reviewer("approvals", "ask", waiting, HOSTILE).code == 0
        platform.driver.integrate()
        person.wait_for(f"question 1, asked by reviewer: {SHOWN}")
        person.wait_for(f"answer with: animus run answer {waiting}/1 TEXT")
        person.interrupt()
        assert person.end() == 130


def test_in_a_pipe_each_question_and_answer_is_a_line(
    platform: Platform, animus: CommandLine, reviewer: CommandLine, waiting: str
) -> None:
    assert reviewer("approvals", "ask", waiting, HOSTILE).code == 0
    waited = animus("run", "wait", waiting, "--for", "approval")
    assert f"question 1, asked by reviewer: {SHOWN}" in waited.out
    assert animus("run", "answer", f"{waiting}/1", "because").code == 0
    assert animus("run", "cancel", waiting).code == 0
    assert platform.driver.finalise(platform.project_id, waiting) == "canceled"
    watched = animus("run", "watch", waiting)
    assert watched.out.count("question 1: answered by engineer: because") == 1


def test_several_questions_are_named_by_their_numbers(
    animus: CommandLine, reviewer: CommandLine, waiting: str
) -> None:
    first, second = (reviewer.json("approvals", "ask", waiting, text) for text in ("a?", "b?"))
    code, problem = animus.problem("run", "answer", waiting, "because")
    assert (code, problem["code"]) == (2, "ambiguous")
    assert "(1 of reviewer, 2 of reviewer)" in problem["detail"]
    answered = animus.json("run", "answer", f"{waiting}/2", "because")
    assert (answered["id"], answered["answer"]["text"]) == (second["id"], "because")
    assert animus.json("run", "answer", waiting, "so")["id"] == first["id"]
    code, problem = animus.problem("run", "answer", waiting, "more")
    assert (code, problem["code"]) == (2, "no_open_question")
    code, problem = animus.problem("run", "answer", f"{waiting}/{first['id']}", "more")
    assert (code, problem["code"]) == (1, "already_answered")
    for named in ("3", "", "0", "\x1b[2J", "1/1"):
        code, problem = animus.problem("run", "answer", f"{waiting}/{named}", "more")
        assert (code, problem["code"]) == (2, "not_found"), named
        assert "\x1b" not in problem["detail"]


def test_who_may_neither_ask_nor_answer_is_told(
    animus: CommandLine, reviewer: CommandLine, waiting: str
) -> None:
    code, problem = animus.problem("approvals", "ask", waiting, "may I?")
    assert (code, problem["code"]) == (7, "not_an_approver")
    assert reviewer("approvals", "ask", waiting, "why?").code == 0
    code, problem = reviewer.problem("run", "answer", waiting, "because")
    assert (code, problem["code"]) == (7, "not_the_requester")
    code, problem = reviewer.problem("approvals", "ask", waiting, "  ")
    assert (code, problem["code"]) == (2, "invalid_request")
