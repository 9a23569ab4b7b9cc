"""Standard output as shells make it: a pipe, one that nobody reads, a full disk, closed."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.sdk.attempt_places import start_run
from tests.sdk.command_lines import CommandLine
from tests.sdk.platforms import Finished, Platform, pipeline, unique
from tests.sdk.talks import begin, line

LINES = 4_000
"""More than a pipe holds."""


def shell(animus: CommandLine, line: str) -> Finished:
    """The exit code is that of the command line before the first pipe."""
    done = subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"],
        env={**animus.environment, "PATH": f"{animus.program.parent}:{animus.environment['PATH']}"},
        cwd=animus.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Finished(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture(scope="module")
def talking(platform: Platform) -> str:
    """A run that has written much, and goes on."""
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    talk = begin(platform, run_id)
    text = unique("x" * 100)
    for first in range(1, LINES, 500):
        talk.say(*(line(number, text) for number in range(first, first + 500)))
    return run_id


@pytest.mark.parametrize("more", ["", "-f", "--json", "-f --json", "-t"])
def test_whoever_reads_only_the_beginning_ends_it_without_a_word(
    animus: CommandLine, talking: str, more: str
) -> None:
    done = shell(animus, f"animus run logs {talking} {more} | head -n 2")
    assert (done.code, done.err) == (141, "")
    assert len(done.out.splitlines()) == 2


def test_a_follower_that_nobody_reads_does_not_say_that_all_is_well(
    platform: Platform, animus: CommandLine
) -> None:
    """It has not seen the end of the run."""
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    watching = subprocess.Popen(
        [str(animus.program), "run", "watch", run_id],
        env=dict(animus.environment), cwd=animus.folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert watching.stdout is not None
    assert watching.stderr is not None
    assert watching.stdout.readline().startswith("run: running")
    watching.stdout.close()
    with platform.client() as client:
        client.runs.cancel(run_id)
    platform.driver.finalise(platform.project_id, run_id)
    assert watching.wait(60) == 141
    with watching.stderr as err:
        assert err.read() == ""


@pytest.mark.parametrize("more", ["", "--json"])
def test_errors_that_nobody_reads_make_no_noise(animus: CommandLine, more: str) -> None:
    done = shell(animus, f"animus run show nobody-knows-it {more} 2>&1 >/dev/null | true")
    assert (done.out, done.err) == ("", "")
    assert done.code in (2, 141)  # whether the reader had gone by then


@pytest.mark.parametrize("command", ["run list", "run list --json", "--version"])
def test_a_full_disk_is_told(animus: CommandLine, command: str) -> None:
    done = shell(animus, f"animus {command} > /dev/full")
    assert (done.code, done.out) == (1, "")
    assert "Cannot write: No space left on device." in done.err
    assert "Traceback" not in done.err
    assert "Exception ignored" not in done.err


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_streams_may_be_closed(animus: CommandLine, closed: str) -> None:
    done = shell(animus, f"animus whoami {closed}")
    assert (done.code, done.err) == (0, "")
    assert ("engineer" in done.out) == (">&-" not in closed.replace("2>&-", ""))


def test_what_goes_into_a_pipe_is_plain(platform: Platform, animus: CommandLine) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    for command in ("run list", f"run show {run_id}", f"run explain {run_id}", "run --help"):
        done = shell(animus, f"animus {command} | cat")
        assert done.code == 0, done
        assert "\x1b" not in done.out + done.err
    done = shell(animus, f"animus run show {run_id} --json | cat")
    assert (json.loads(done.out)["id"], done.err) == (run_id, "")
    assert done.out.isascii()


def test_what_an_encoding_lacks_is_written_in_another_way(animus: CommandLine) -> None:
    (animus.folder / "a").write_text(unique("x"))
    name = unique("sizes")
    animus.json("dataset", "push", name, "a", "--description", "Größe ☃")
    plain = animus.with_environment(PYTHONIOENCODING="latin-1")
    done = shell(plain, "animus dataset list | iconv -f latin1 -t utf8")
    assert (done.code, done.err) == (0, "")
    assert "Größe \\u2603" in done.out
