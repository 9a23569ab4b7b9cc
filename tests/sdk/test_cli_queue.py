"""Quotas, capacities and the queue by command line."""

from __future__ import annotations

import json

from tests.sdk.attempt_places import commit_all, start_run
from tests.sdk.command_lines import CommandLine
from tests.sdk.conftest import CommandLineOf
from tests.sdk.platforms import CLUSTER, Platform, pipeline


def test_limits_are_set_one_by_one_and_lifted(command_line_of: CommandLineOf) -> None:
    admin = command_line_of("admin")
    admin.json("project", "quota", "set", "cpu=64", "nvidia.com/gpu=2", "--reason", "fair")
    view = admin.json("project", "quota", "set", "runs=50", "cpu=none", "--reason", "fair")
    assert view["limits"] == {"nvidia.com/gpu": 2, "runs": 50}
    assert admin.json("project", "quota", "show")["revision"] == view["revision"]
    assert "nvidia.com/gpu" in admin("project", "quota", "show").out
    lifted = ("nvidia.com/gpu=none", "runs=none", "--reason", "no more")
    assert admin.json("project", "quota", "set", *lifted)["limits"] == {}


def test_a_clusters_capacity_is_set_and_shown(command_line_of: CommandLineOf) -> None:
    admin = command_line_of("admin")
    admin.json("cluster", "capacity", "set", CLUSTER, "test.example/x=4", "--reason", "size")
    assert admin.json("cluster", "capacity", "show", CLUSTER)["limits"] == {"test.example/x": 4}
    admin.json("cluster", "capacity", "set", CLUSTER, "test.example/x=none", "--reason", "no more")


def test_the_clusters_of_a_project_are_set_shown_and_freed(
    command_line_of: CommandLineOf, animus: CommandLine
) -> None:
    admin = command_line_of("admin")
    assert "Every cluster." in animus("project", "clusters", "show").out
    try:
        view = admin.json("project", "clusters", "set", CLUSTER, "--reason", "agreed")
        assert view["clusters"] == [CLUSTER]
        assert animus("project", "clusters", "show").out.split()[0] == CLUSTER
        assert "No cluster." in admin("project", "clusters", "set", "--none", "--reason", "x").out
        (animus.folder / "pipeline.yaml").write_text(json.dumps(pipeline(data=False)))
        commit_all(animus.folder)
        _, problem = animus.problem("run", "preview", "pipeline.yaml", "--cluster", CLUSTER)
        assert problem["code"] == "cluster_not_allowed"
        _, problem = animus.problem("project", "clusters", "set", CLUSTER, "--reason", "mine")
        assert problem["code"] == "forbidden"
    finally:
        freed = admin.json("project", "clusters", "set", "--all", "--reason", "no more")
    assert freed["clusters"] is None
    for wrong in ((), (CLUSTER, "--all"), ("--all", "--none")):
        _, problem = admin.problem("project", "clusters", "set", *wrong, "--reason", "which")
        assert problem["code"] == "usage"


def test_limits_are_for_platform_administrators_and_must_say_something(
    command_line_of: CommandLineOf, animus: CommandLine
) -> None:
    _, problem = animus.problem("project", "quota", "set", "runs=1", "--reason", "mine")
    assert problem["code"] == "forbidden"
    admin = command_line_of("admin")
    _, problem = admin.problem("project", "quota", "set", "gpu=1", "--reason", "which")
    assert "nvidia.com/gpu" in json.dumps(problem)


def test_the_queue_says_who_waits_and_why(
    platform: Platform, command_line_of: CommandLineOf, animus: CommandLine
) -> None:
    admin = command_line_of("admin")
    ahead = start_run(platform, {"pipeline": pipeline(data=False)})
    in_use = admin.json("project", "quota", "show")["use"]
    (runs,) = [one["used"].split()[0] for one in in_use if one["resource"] == "runs"]
    admin.json("project", "quota", "set", f"runs={runs}", "--reason", "full")
    try:
        with platform.client() as client:
            request = {"pipeline": pipeline(data=False), "cluster": CLUSTER, "priority": "low"}
            waiting = client.runs.submit(request)["id"]
        platform.driver.plan(platform.project_id, waiting)
        platform.driver.begin(platform.project_id, waiting)
        (place,) = animus.json("queue", "show")
        assert (place["run_id"], place["reason"]) == (waiting, "quota_exceeded")
        shown = animus("run", "show", waiting).out
        assert "quota_exceeded" in shown
        assert "Place 1 of 1" in " ".join(shown.replace("|", " ").split())  # set in lines
        found = animus.json("run", "list", "--waiting-for", "quota_exceeded")
        assert [run["id"] for run in found["runs"]] == [waiting]
    finally:
        admin.json("project", "quota", "set", "runs=none", "--reason", "no more")
        for run in (waiting, ahead):
            animus.json("run", "cancel", run)
            platform.driver.finalise(platform.project_id, run)
