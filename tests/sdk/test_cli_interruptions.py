"""Ctrl+C, as a person presses it: it is quick, nothing half stands, and the way on is said."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.sdk.attempt_places import start_run
from tests.sdk.command_lines import CommandLine
from tests.sdk.conftest import CommandLineOf
from tests.sdk.faulty_proxies import HELD, CutAfter, FaultyProxy, faulty_proxy
from tests.sdk.platforms import CLUSTER, Platform, pipeline, unique
from tests.sdk.silences import silent
from tests.sdk.talks import begin, line
from tests.sdk.terminals import Terminal
from tests.support.waiting import PATIENCE

AT_ONCE = 15.0
"""Seconds from Ctrl+C to the end, on a machine under load; a silent server is waited for longer."""
LARGE = 256 * 1024**2
"""Bytes that no store takes before it is stopped."""


def leave(person: Terminal) -> str:
    """Press Ctrl+C; what was shown at the end."""
    begun = time.monotonic()
    person.interrupt()
    assert person.end() == 130, person.shown
    assert time.monotonic() - begun < AT_ONCE
    assert "Traceback" not in person.shown
    return " ".join(person.shown.split())


@pytest.fixture
def animus(command_line_of: CommandLineOf) -> CommandLine:
    """Ctrl+C may come while the standard library connects, which then leaves its socket to be
    collected."""
    return command_line_of("engineer").with_environment(
        PYTHONWARNINGS="error,ignore::ResourceWarning"
    )


@pytest.fixture
def data(animus: CommandLine) -> Path:
    """Some small files and one that is large."""
    folder = animus.folder / "data"
    folder.mkdir()
    for name in "abc":
        (folder / name).write_text(unique(name))
    with (folder / "large").open("wb") as file:
        file.write(unique("large").encode())
        file.truncate(LARGE)
    return folder


def test_an_upload_is_left_at_once_and_gone_on_with(
    platform: Platform, animus: CommandLine, data: Path
) -> None:
    name = unique("left")
    small, large = (sha256((data / one).read_bytes()).digest() for one in ("a", "large"))
    with animus.on_terminal("dataset", "push", name, "data") as person:
        person.wait_for("uploading")
        platform.driver.wait_for_object(platform.project_id, small)
        with silent(platform.stack, "object-store"):
            assert "the same command goes on where this one stopped" in leave(person)
    assert platform.driver.find_object(platform.project_id, large) is None
    assert animus.json("dataset", "show", name)["versions"] == []

    pushed = animus.json("dataset", "push", name, "data")
    assert (pushed["version"]["ordinal"], pushed["files"]) == (1, 4)
    assert pushed["already_stored"] >= 1
    assert pushed["uploaded"] + pushed["already_stored"] == 4
    assert platform.driver.find_object(platform.project_id, large) is not None


def test_nobody_waits_for_a_store_that_says_nothing(
    platform: Platform, animus: CommandLine, data: Path
) -> None:
    with (
        silent(platform.stack, "object-store"),
        animus.on_terminal("dataset", "push", unique("silent"), "data") as person,
    ):
        person.wait_for("uploading")
        leave(person)


def test_a_download_leaves_nothing_half(
    platform: Platform, animus: CommandLine, data: Path
) -> None:
    name = unique("down")
    animus.json("dataset", "push", name, "data")
    with animus.on_terminal("dataset", "download", f"{name}@1", "--to", "got") as person:
        person.wait_for("downloading")
        with silent(platform.stack, "object-store"):
            shown = leave(person)
    there = {one.name for one in (animus.folder / "got").glob("*")}
    assert "what has a name here is whole" in shown
    for one in there:
        assert (animus.folder / "got" / one).read_bytes() == (data / one).read_bytes()
    done = animus.json("dataset", "download", f"{name}@1", "--to", "got")
    assert (done["files"], done["already_there"]) == (4, len(there))


def test_logs_and_events_are_left_while_they_are_followed(
    platform: Platform, animus: CommandLine
) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    begin(platform, run_id).say(line(1))
    with animus.on_terminal("run", "logs", run_id, "-f") as person:
        person.wait_for("line 1")
        assert f"The run goes on. To look again: animus run logs {run_id} -f" in leave(person)
    with animus.on_terminal("run", "events", run_id, "-f") as person:
        person.wait_for("attempt.opened")
        assert f"To look again: animus run events {run_id} -f" in leave(person)
    assert animus.json("run", "show", run_id)["state"] == "running"


def test_the_audit_log_is_gone_on_with_where_it_was_left(
    platform: Platform, command_line_of: CommandLineOf
) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    admin = command_line_of("admin")
    with admin.on_terminal("audit", "follow", "--run", run_id) as person:
        person.wait_for("run.started")
        shown = leave(person)
    after = shown.rpartition("animus audit follow --after ")[2]
    left = admin.json("audit", "list", "--run", run_id, "--after", after)["events"]
    whole = admin.json("audit", "list", "--run", run_id)["events"]
    seen = [event for event in whole if event["index"] <= int(after)]
    assert seen
    assert all(event["action"] in shown for event in seen)
    assert seen + left == whole
    assert len(left) <= 1  # a line that Ctrl+C came across is shown again


def test_a_program_reads_what_stands_in_a_problem_document(
    platform: Platform, animus: CommandLine, proxy: FaultyProxy
) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    proxy.faults, proxy.method, proxy.path = [HELD], "GET", "/events"
    through = animus.with_environment(ANIMUS_GATEWAY_URL=proxy.url)
    with through.on_terminal("run", "wait", run_id, "--json") as person:
        assert proxy.holding.wait(PATIENCE)
        leave(person)
    problem = json.loads(person.shown.replace("^C", ""))
    assert problem["code"] == "interrupted"
    assert f"animus run watch {run_id}" in problem["detail"]


@pytest.fixture
def proxy(platform: Platform) -> Iterator[FaultyProxy]:
    with faulty_proxy(platform.url) as proxy:
        yield proxy


def test_a_submission_without_its_answer_is_not_known_to_be_none(
    animus: CommandLine, proxy: FaultyProxy
) -> None:
    proxy.faults, proxy.path = [CutAfter(LARGE), HELD], "/runs"  # the preview is answered
    (animus.folder / "pipeline.yaml").write_text(json.dumps(pipeline(data=False)))
    submit = ("run", "submit", "pipeline.yaml", "--no-code", "--cluster", CLUSTER)
    with animus.with_environment(ANIMUS_GATEWAY_URL=proxy.url).on_terminal(*submit) as person:
        assert proxy.holding.wait(PATIENCE)
        assert "it may be there: animus run show @last" in leave(person)


def test_a_question_is_left(animus: CommandLine) -> None:
    with animus.on_terminal("login") as person:
        person.wait_for("Token for")
        leave(person)
