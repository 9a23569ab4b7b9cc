"""A machine whose clock is wrong: what is told of times goes by the platform's."""

from __future__ import annotations

import itertools
from datetime import timedelta

from tests.sdk.command_lines import CommandLine
from tests.sdk.odd_servers import clock_shifting_proxy
from tests.sdk.platforms import CLUSTER, Platform, pipeline
from tests.sdk.projects import write_project

ASKED = ("pipeline.yaml", "--data", "cancer=./data", "--cluster", CLUSTER)
REASON = "because " + "of the new data " * 20


def test_how_long_ago_it_was_goes_by_the_platforms_clock(
    platform: Platform, animus: CommandLine
) -> None:
    """The same as a clock here that is a little more than three hours behind."""
    write_project(animus.folder, pipeline())
    run = animus.json("run", "submit", *ASKED, "--production", "--lock", "lock.json")
    platform.driver.plan(platform.project_id, run["id"])
    in_time = animus("approvals", "show", run["id"]).out
    assert "in 2 d 23 h" in in_time or "in 3 d" in in_time
    with clock_shifting_proxy(platform.url, by=timedelta(hours=3, minutes=5)) as url:
        told = animus("run", "list", "--gateway", url).out
        shown = animus("run", "show", run["id"], "--gateway", url).out
        gate = animus("approvals", "show", run["id"], "--gateway", url).out
    (row,) = (line for line in told.splitlines() if run["name"] in line)
    assert "3 h" in row
    assert "since 3 h" in shown
    assert "in 2 d 20 h" in gate or "in 2 d 21 h" in gate


def test_a_long_reason_is_set_in_lines_as_in_reviews(
    platform: Platform, animus: CommandLine
) -> None:
    write_project(animus.folder, pipeline())
    run = animus.json("run", "submit", *ASKED, "--reason", REASON)
    shown = animus("run", "show", run["id"]).out.splitlines()
    beginning = next(n for n, line in enumerate(shown) if line.startswith("reason"))
    indent = shown[beginning].index("because")
    assert len(shown[beginning]) <= 100
    goes_on = " " * (indent + 2) + "| "
    more = list(itertools.takewhile(lambda line: line.startswith(goes_on), shown[beginning + 1 :]))
    told = [shown[beginning][indent:], *(line.removeprefix(goes_on) for line in more)]
    assert " ".join(told) == REASON.strip()
