"""Which network a pod is due, and what is made of a job whose egress is switched."""

from __future__ import annotations

from pathlib import Path

import pytest

from animus.adapters.kubernetes.egress import due_label, was_closed
from animus.adapters.kubernetes.errors import NotAllowed
from animus.adapters.kubernetes.manifests import Unswitched, job_of
from animus.adapters.kubernetes.names import EGRESS, PLAN_ONLY, STORE, grant_label
from animus.adapters.kubernetes.placements import EgressNotGranted
from animus.adapters.kubernetes.sightings import PodSighting
from animus.domain.canonical import JsonObject
from deploy.kubernetes.rendering import Grant
from tests.unit.adapters.kubernetes.api_servers import client_of, refusal, serving
from tests.unit.adapters.kubernetes.tasks import SITE, SWITCHED, ended, make_task, pod_status

RUNNING = {"state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}}}


def pod(*inits: JsonObject, main: JsonObject | None = None, now: str = STORE) -> PodSighting:
    """A pod with a latch, whose label says `now`."""
    said = pod_status(
        phase="Running",
        initContainerStatuses=list(inits),
        containerStatuses=[main] if main is not None else [],
    )
    said["metadata"]["labels"] = {EGRESS: now}
    said["spec"] = {"initContainers": [{"name": "fetch"}, {"name": "latch"}, {"name": "collect"}]}
    return PodSighting(said)


FETCHED, CLOSED = ended("fetch", 0), ended("latch", 0)
WAITS = {"name": "latch", **RUNNING}
RUNS = {"name": "main", **RUNNING}


@pytest.mark.parametrize(
    ("seen", "due"),
    [
        (pod(), STORE),
        (pod({"name": "fetch", **RUNNING}), STORE),
        (pod(ended("fetch", 1)), STORE),
        (pod(FETCHED), PLAN_ONLY),
        (pod(FETCHED, WAITS), PLAN_ONLY),
        (pod(FETCHED, CLOSED), PLAN_ONLY),
        (pod(FETCHED, CLOSED, main=RUNS), PLAN_ONLY),
        (pod(FETCHED, CLOSED, main=ended("main", 0)), STORE),
        (pod(FETCHED, CLOSED, main=ended("main", 137)), STORE),
    ],
)
def test_what_a_pod_may_reach_follows_from_what_runs_in_it(seen: PodSighting, due: str) -> None:
    for now in (STORE, PLAN_ONLY, "tampered"):
        seen.raw["metadata"]["labels"][EGRESS] = now
        assert due_label(seen) == (due if now != due else None)


def test_a_pod_that_was_made_without_a_latch_keeps_its_network() -> None:
    seen = pod(FETCHED, main=RUNS)
    del seen.raw["spec"]["initContainers"][1]
    assert due_label(seen) is None


def test_of_a_pod_that_has_ended_nothing_is_changed() -> None:
    seen = pod(FETCHED, CLOSED, main=ended("main", 0), now=PLAN_ONLY)
    seen.raw["status"]["phase"] = "Succeeded"
    assert due_label(seen) is None


def test_only_a_latch_that_let_main_begin_has_closed() -> None:
    assert was_closed(pod(FETCHED, CLOSED, main=RUNS))
    assert not was_closed(pod(FETCHED, WAITS))
    assert not was_closed(pod(FETCHED, ended("latch", 1)))


def test_main_with_telemetry_keeps_the_network_that_it_needs() -> None:
    job = job_of(make_task(telemetry=True, run_token="r"), SWITCHED)
    inits = job["spec"]["template"]["spec"]["initContainers"]
    assert [each["name"] for each in inits] == ["fetch", "collect"]


def test_collect_alone_is_told_what_the_label_says() -> None:
    spec = job_of(make_task(), SWITCHED)["spec"]["template"]["spec"]
    told = {
        each["name"]: [variable for variable in each.get("env", ()) if "valueFrom" in variable]
        for each in (*spec["initContainers"], *spec["containers"])
    }
    assert [name for name, variables in told.items() if variables] == ["collect"]


def test_latch_has_neither_token_nor_volume() -> None:
    spec = job_of(make_task(), SWITCHED)["spec"]["template"]["spec"]
    (latch,) = (each for each in spec["initContainers"] if each["name"] == "latch")
    assert "volumeMounts" not in latch
    assert not any("TOKEN" in each["name"] for each in latch["env"])


def test_what_a_plan_grants_must_be_granted_by_the_cluster() -> None:
    with pytest.raises(EgressNotGranted, match=r"other\.example:443"):
        job_of(make_task(egress=[{"host": "other.example", "port": 443}]), SWITCHED)


def test_a_cluster_with_shared_egress_takes_a_step_with_egress_as_before() -> None:
    rule = {"host": "other.example", "port": 443}
    assert job_of(make_task(egress=[rule]), SITE) == job_of(make_task(), SITE)


def test_an_agent_that_does_not_switch_makes_no_job_of_a_plan_that_promises_it() -> None:
    job_of(make_task(promised="switched"), SWITCHED)
    with pytest.raises(Unswitched):
        job_of(make_task(promised="switched"), SITE)


def test_the_agents_label_is_the_one_that_the_shipped_policy_selects() -> None:
    grant = Grant.parse("pypi.example:443=192.0.2.30/32")
    assert grant.label == grant_label("pypi.example", 443)


async def test_who_may_not_label_pods_is_told_apart(tmp_path: Path) -> None:
    denied = refusal(403, "Forbidden", 'pods "p" is forbidden: User "agent" cannot patch')
    with serving(lambda asked: denied) as server, pytest.raises(NotAllowed):
        await client_of(server.url, tmp_path).label_pod("p", {EGRESS: STORE})
