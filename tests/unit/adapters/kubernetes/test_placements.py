"""Placements on a Job: only what the cluster grants, as Kubernetes writes it, and read back."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from animus.adapters.kubernetes.manifests import job_of
from animus.adapters.kubernetes.placements import Grants, NotGranted, kept_of
from animus.domain.canonical import JsonObject
from animus.domain.placements import Placement
from animus.ports import AttemptTask
from tests.unit.adapters.kubernetes.tasks import SITE, make_task

PLACEMENT = Placement.model_validate(
    {
        "node_selector": {"accelerator": "a100"},
        "tolerations": [
            {"key": "gpu", "effect": "NoSchedule"},
            {"key": "dedicated", "value": "ml"},
            {"key": "empty", "value": ""},
        ],
        "priority_class": "batch-low",
        "labels": {"bank.example/cost-centre": "4711"},
        "runtime_class": "gvisor",
    }
)
GRANTS = Grants(
    node_labels=frozenset({"accelerator"}),
    tolerations=frozenset({"gpu", "dedicated", "empty"}),
    priority_classes=frozenset({"batch-low"}),
    labels=frozenset({"bank.example/cost-centre"}),
    runtime_classes=frozenset({"gvisor"}),
)


def placed_task() -> AttemptTask:
    task = make_task(sandbox="gvisor")
    changed = task.assignment.model_copy(update={"placement": PLACEMENT})
    return replace(task, assignment=changed)


def placed_job() -> JsonObject:
    return job_of(placed_task(), replace(SITE, grants=GRANTS))


def test_a_granted_placement_is_on_the_pod() -> None:
    job = placed_job()
    pod = job["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"accelerator": "a100"}
    assert pod["tolerations"] == [
        {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "dedicated", "operator": "Equal", "value": "ml"},
        {"key": "empty", "operator": "Equal"},
    ]
    assert (pod["priorityClassName"], pod["runtimeClassName"]) == ("batch-low", "gvisor")
    for labelled in (job, job["spec"]["template"]):
        assert labelled["metadata"]["labels"]["bank.example/cost-centre"] == "4711"


@pytest.mark.parametrize("kind", [field.name for field in fields(Grants)])
def test_what_is_not_granted_is_named_and_refused(kind: str) -> None:
    grants = replace(GRANTS, **{kind: frozenset()})
    with pytest.raises(NotGranted, match=kind):
        job_of(placed_task(), replace(SITE, grants=grants))


def test_a_cluster_grants_nothing_by_default() -> None:
    with pytest.raises(NotGranted):
        job_of(placed_task(), SITE)


def test_a_pod_as_it_was_asked_for_keeps_its_whole_placement() -> None:
    pod = placed_job()["spec"]["template"]
    added = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    pod["spec"]["tolerations"].append(added)
    assert kept_of(PLACEMENT, pod) == PLACEMENT


@pytest.mark.parametrize(
    ("taken", "missing"),
    [
        ("nodeSelector", {"node_selector"}),
        ("tolerations", {"tolerations"}),
        ("priorityClassName", {"priority_class"}),
        ("runtimeClassName", {"runtime_class"}),
    ],
)
def test_what_was_taken_away_is_not_said_to_be_there(taken: str, missing: set[str]) -> None:
    pod: dict[str, Any] = placed_job()["spec"]["template"]
    del pod["spec"][taken]
    assert set(PLACEMENT.said) - set(kept_of(PLACEMENT, pod).said) == missing
