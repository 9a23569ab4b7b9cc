"""A run's logs from the command line and from Python: live and stored, whole, and only printed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from animus_sdk import WantedLogs, follow_logs
from animus_sdk.wire.log_streams import AttemptLog, LogLine

from tests.sdk.attempt_places import start_run
from tests.sdk.command_lines import CommandLine
from tests.sdk.faulty_proxies import CutAfter, faulty_proxy
from tests.sdk.platforms import QUICK, Platform, pipeline
from tests.sdk.talks import BEGIN, begin, line

HOSTILE = "\x1b]0;owned\x07\x9b2J\r\u202eevil"


@pytest.fixture
def run_id(platform: Platform) -> str:
    return start_run(platform, {"pipeline": pipeline(data=False, attempts=2)})


@pytest.fixture
def two_steps(platform: Platform) -> str:
    written = pipeline(data=False)
    written["steps"]["check"] = {"run": "python check.py"}
    return start_run(platform, {"pipeline": written})


def texts(out: str) -> list[str]:
    return out.splitlines()


def test_a_running_step_is_followed_to_its_end(
    platform: Platform, animus: CommandLine, run_id: str
) -> None:
    with animus.on_terminal("run", "logs", run_id, "-f") as terminal:
        talk = begin(platform, run_id)
        talk.say(line(1, "first words"))
        terminal.wait_for("first words")
        talk.say(line(2, "Grüße", "err"), line(3, HOSTILE))
        terminal.wait_for("Grüße")
        talk.end()
        platform.driver.finalise(platform.project_id, run_id)
        assert terminal.end() == 0
    assert "first words\r\nGrüße\r\n" in terminal.shown
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(terminal.shown)


def test_all_steps_are_followed_at_once_each_line_with_its_step(
    platform: Platform, animus: CommandLine, two_steps: str
) -> None:
    train, check = begin(platform, two_steps), begin(platform, two_steps, "check")
    with animus.on_terminal("run", "logs", two_steps, "-f") as terminal:
        train.say(line(1, "of train"))
        terminal.wait_for("of train")
        check.say(line(2, "of check"))
        terminal.wait_for("of check")
        train.end()
        check.end()
        platform.driver.finalise(platform.project_id, two_steps)
        assert terminal.end() == 0
    plain = animus("run", "logs", two_steps)
    assert sorted(texts(plain.out)) == ["check | of check", "train | of train"]
    assert animus("run", "logs", two_steps, "check").out == "of check\n"
    code, problem = animus.problem("run", "logs", two_steps, "no-such")
    assert code == 2
    assert "check, train" in problem["detail"] or "train, check" in problem["detail"]


def test_ctrl_c_ends_the_looking_and_nothing_else(
    platform: Platform, animus: CommandLine, run_id: str
) -> None:
    talk = begin(platform, run_id)
    talk.say(line(1, "begun"))
    with animus.on_terminal("run", "logs", run_id, "-f") as terminal:
        terminal.wait_for("begun")
        terminal.interrupt()
        assert terminal.end() == 130
    assert "Traceback" not in terminal.shown
    assert animus.json("run", "show", run_id)["state"] == "running"


def test_what_is_there_is_shown_at_once_live_or_stored(
    platform: Platform, animus: CommandLine, run_id: str
) -> None:
    assert "has not begun" in animus("run", "logs", run_id).err
    talk = begin(platform, run_id)
    talk.say(*(line(number) for number in range(5)))
    for _ in ("live", "stored"):
        shown = [f"line {number}" for number in range(5)]
        assert texts(animus("run", "logs", run_id).out) == shown
        assert texts(animus("run", "logs", run_id, "--tail", "2").out) == shown[3:]
        assert texts(animus("run", "logs", run_id, "--since", f"{BEGIN}.002Z").out) == shown[2:]
        assert animus("run", "logs", run_id, "--since", "1h").out == ""
        stored = animus("run", "logs", run_id, "train", "--timestamps").out
        assert stored.encode() == talk.log
        lines = [json.loads(one) for one in texts(animus("run", "logs", run_id, "--json").out)]
        assert lines[1] == {
            "step": "train", "attempt": 1, "time": f"{BEGIN}.001Z", "stream": "out",
            "text": "line 1", "offset": 2 * len(line(1)),
        }  # fmt: skip
        if not _has_ended(animus, run_id):
            talk.end()


def _has_ended(animus: CommandLine, run_id: str) -> bool:
    return bool(animus.json("run", "artifacts", run_id)["artifacts"])


@pytest.mark.parametrize("since", ["soon", "10", "2026-01-02", "2026-01-02T03:04:05", "-5m"])
def test_a_time_that_is_none_is_refused(animus: CommandLine, run_id: str, since: str) -> None:
    assert animus("run", "logs", run_id, f"--since={since}").code == 2


def test_an_earlier_attempt_is_shown_where_it_is_asked_for(
    platform: Platform, animus: CommandLine, run_id: str
) -> None:
    for number in (1, 2):
        talk = begin(platform, run_id)
        talk.say(line(number, f"attempt {number}"))
        talk.end(is_tried_again=number == 1)
    assert animus("run", "logs", run_id).out == "attempt 2\n"
    assert animus("run", "logs", run_id, "--attempt", "1").out == "attempt 1\n"
    platform.driver.finalise(platform.project_id, run_id)
    assert animus("run", "logs", run_id, "-f", "--attempt", "1").out == "attempt 1\n"
    assert animus("run", "logs", run_id, "-f", "--tail", "1").out == "attempt 2\n"


def test_a_lost_connection_loses_and_repeats_no_line(platform: Platform, run_id: str) -> None:
    talk = begin(platform, run_id)
    for number in range(30):
        talk.say(line(number))
    with faulty_proxy(platform.url) as proxy, platform.client(url=proxy.url) as client:
        proxy.method, proxy.path = "GET", "/log"
        proxy.faults = [CutAfter(size) for size in (300, 500, 700, 650, 1_200)]
        log = AttemptLog(
            client.runs._scope.gateway, project_id=platform.project_id, run_id=run_id,
            step="train", attempt=1, patience=QUICK,
        )  # fmt: skip
        lines = list(log.read(follow=False))
        assert not proxy.faults
    assert "".join(f"{each.stored}\n" for each in lines).encode() == talk.log
    with platform.client() as client:
        for each in lines[::7]:
            rest = client.logs.read(run_id, "train", after=each.offset)
            assert "".join(f"{one.stored}\n" for one in rest).encode() == talk.log[each.offset :]


def test_a_program_follows_all_logs_and_a_new_attempt_among_them(
    platform: Platform, run_id: str
) -> None:
    with platform.client() as client:
        seen = follow_logs(client, run_id)
        for number in (1, 2):
            talk = begin(platform, run_id)
            talk.say(line(number))
            assert (next(seen).attempt, talk.attempt.id != "") == (number, True)
            talk.say(line(9))
            talk.end(is_tried_again=number == 1)
            assert next(seen).text == "line 9"
        platform.driver.finalise(platform.project_id, run_id)
        assert list(seen) == []
        assert follow(client.logs.read(run_id, "train", attempt=2)) == ["line 2", "line 9"]
        assert follow(follow_logs(client, run_id, WantedLogs(tail=1))) == ["line 9"]


def test_who_stops_following_leaves_no_thread_behind(platform: Platform, run_id: str) -> None:
    begin(platform, run_id).say(line(1))
    with platform.client() as client:
        seen = follow_logs(client, run_id)
        next(seen)
        seen.close()
    assert not [each for each in threading.enumerate() if each.name == "animus-logs"]


def follow(lines: Iterator[LogLine]) -> list[str]:
    return [each.text for each in lines]
