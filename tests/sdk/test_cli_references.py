"""What people type instead of ids, and that they are told what it was taken for."""

from __future__ import annotations

from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.sdk.attempt_places import forwarded, open_place, start_run
from tests.sdk.command_lines import CommandLine
from tests.sdk.conftest import CommandLineOf
from tests.sdk.platforms import Platform, pipeline, unique

TWIN: LiteralString = (
    "INSERT INTO runs SELECT (jsonb_populate_record(r, %s)).* FROM runs r WHERE r.id = %s"
)
"""The same run under another id and name."""


def submitted(platform: Platform) -> tuple[str, str]:
    """Id and name of a run of the engineer's."""
    with platform.client() as client:
        run = client.runs.submit({"pipeline": pipeline(data=False)})
    return run["id"], run["name"]


def test_the_last_run_is_named_before_anything_is_shown(
    platform: Platform, animus: CommandLine
) -> None:
    run_id, name = submitted(platform)
    done = animus("run", "show", "@last")
    assert done.code == 0
    assert done.err.startswith(f"@last is {name} ({run_id}, created, ")
    assert animus.json("run", "show", "@last")["id"] == run_id  # which asserts a silent stderr


def test_the_last_run_is_ones_own(
    platform: Platform, animus: CommandLine, command_line_of: CommandLineOf
) -> None:
    submitted(platform)
    reviewer = command_line_of("reviewer")
    code, problem = reviewer.problem("run", "show", "@last")
    assert (code, problem["code"]) == (2, "not_found")
    assert "submitted no run" in problem["detail"]


@pytest.mark.parametrize("reference", ["no-such-run", "@first", "with space", "\x1b[31m", "ab"])
def test_a_reference_to_nothing_says_where_to_look(animus: CommandLine, reference: str) -> None:
    done = animus("run", "show", reference)
    assert done.code == 2
    assert "See 'animus run list'" in done.err
    assert "\x1b" not in done.err


def test_several_that_may_be_meant_are_listed(platform: Platform, animus: CommandLine) -> None:
    run_id, name = submitted(platform)
    twin = run_id[:-12] + "f" * 4 + run_id[-8:]
    other = unique("twin")
    site = platform.stack.site
    with psycopg.connect(site.addresses.superuser_url(site.credentials)) as connection:
        connection.execute(TWIN, [Jsonb({"id": twin, "name": other}), run_id])
    code, problem = animus.problem("run", "show", run_id[-8:])
    assert (code, problem["code"]) == (2, "ambiguous")
    for said in (run_id, twin, name, other, "Write more of the id."):
        assert said in problem["detail"]
    assert animus.json("run", "show", run_id[-12:])["name"] == name


def test_the_digest_of_a_plan_names_its_newest_run(platform: Platform, animus: CommandLine) -> None:
    written = {"pipeline": pipeline(data=False)}
    with platform.client() as client:
        runs = [client.runs.submit(written) for _ in range(2)]
    for run in runs:
        platform.driver.plan(platform.project_id, run["id"])
    digest = animus.json("run", "show", runs[0]["id"])["plan_digest"]
    assert f"is {runs[1]['name']} (" in animus("run", "show", digest).err


def test_an_artifact_is_named_by_its_run_and_its_own_name(
    platform: Platform, animus: CommandLine, tmp_path: Path
) -> None:
    run_id = start_run(platform, {"pipeline": pipeline(data=False)})
    root = tmp_path / "attempt-root"
    root.mkdir()
    place = open_place(platform, root, run_id)
    with forwarded(platform, place):
        assert place.run("fetch").code == 0
        (place.out / "model").write_bytes(b"model")
        (place.directory / "main.log").write_text("")
        place.ask({"name": "model", "path": "model"}, log="main.log")
        assert place.run("collect").code == 0
    report = place.report("collect")
    platform.driver.close_attempt(
        platform.project_id, place.attempt, outputs=report["outputs"], log=report["log"]
    )
    platform.driver.finalise(platform.project_id, run_id)
    for reference in ("@last/model", f"{run_id}/model", f"{run_id}/train.model"):
        assert animus.json("artifact", "show", reference)["name"] == "model"
    code, problem = animus.problem("artifact", "show", "@last/weights")
    assert (code, problem["code"]) == (2, "not_found")
    target = tmp_path / "there"
    animus.json("artifact", "download", "@last/model", "--to", str(target))
    assert target.read_bytes() == b"model"


def test_a_lock_and_a_policy_are_named_by_their_version(
    platform: Platform, animus: CommandLine
) -> None:
    digest = "sha256:" + "a" * 64
    locked = animus.json("env", "lock", "versioned", "--image", f"main=localhost/x@{digest}")
    assert locked["digest"].startswith("sha256:")
    with platform.client() as client:
        for reference in ("versioned@latest", "versioned@1"):
            assert client.environments.resolve_lock(reference)["digest"] == locked["digest"]
    assert animus.json("policy", "show", "default@latest")["version"] == 1
    assert animus.json("policy", "show", "default@1")["version"] == 1
    assert animus.problem("policy", "show", "default@x")[0] == 2
    assert animus.problem("run", "preview", "pipeline.yaml", "--lock", "versioned@9")[0] == 2
