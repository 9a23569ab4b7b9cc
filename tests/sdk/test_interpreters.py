"""The command line's core on the oldest Python that it promises, and on the newest that is here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sdk.attempt_places import start_run
from tests.sdk.interpreters import NEWER, OLDEST, environment_of, find_interpreter
from tests.sdk.platforms import CHECKOUT, Finished, Platform, pipeline
from tests.sdk.talks import begin, line

RunAnimus = Callable[..., Finished]
_ANIMUS = "from animus_sdk.cli import main; main()"


@pytest.fixture(params=[(OLDEST,), NEWER], ids=["oldest", "newest"])
def animus(request: pytest.FixtureRequest, platform: Platform, tmp_path: Path) -> RunAnimus:
    found = next(((one, at) for one in request.param if (at := find_interpreter(one))), None)
    if found is None:
        pytest.skip(f"no Python {' or '.join(request.param)} is here")
    python = environment_of(found[1], found[0])
    environment = platform.environment(tmp_path) | {"PYTHONPATH": str(CHECKOUT / "sdk")}

    def run(*arguments: str) -> Finished:
        done = subprocess.run(
            [str(python), "-c", _ANIMUS, *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Finished(code=done.returncode, out=done.stdout, err=done.stderr)

    return run


def test_the_way_to_a_platform_is_tried(animus: RunAnimus) -> None:
    done = animus("doctor", "--json")
    assert (done.code, done.err) == (0, "")
    states = {one["check"]: one["state"] for one in json.loads(done.out)["findings"]}
    assert states["store"] == states["project"] == "ok"


def test_a_run_that_failed_is_explained(platform: Platform, animus: RunAnimus) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    talk = begin(platform, run_id)
    talk.say(line(1, "no such column"))
    talk.end()
    platform.driver.finalise(platform.project_id, run_id)
    for command in ("explain", "show"):
        done = animus("run", command, run_id)
        assert done.code == 0
        assert "    | no such column" in done.out
    assert animus("run", "watch", run_id).code == 5


def test_a_file_with_a_fault_is_told_with_its_line(animus: RunAnimus, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("apiVersion: animus/v1\npipeline: x\nsteps: {a: {rum: x}}\n")
    done = animus("pipeline", "check", "p.yaml")
    assert done.code == 2
    assert "Did you mean 'run'?" in done.err
    assert "    3 | steps: {a: {rum: x}}" in done.err
