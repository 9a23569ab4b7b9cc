"""What a cluster says, and what a person is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from animus.adapters.kubernetes.names import FAILURE
from animus.adapters.kubernetes.notes import note_of
from animus.adapters.kubernetes.reasons import (
    AT_ONCE,
    Patience,
    failure_of,
    find_trouble,
    gone,
    not_admitted,
)
from animus.adapters.kubernetes.reports import LaunchReport, read_launch, report_in
from animus.adapters.kubernetes.sightings import JobSighting, PodSighting
from animus.adapters.kubernetes.watching import Seen
from animus.adapters.steps.reports import CollectReport, FetchReport
from animus.domain.canonical import JsonObject
from animus.domain.work_orders import Failure
from tests.unit.adapters.kubernetes.tasks import ended, make_task, pod_status, waiting

TASK = make_task(timeoutSeconds=8)  # as long as `ended` says that main took
STEP = TASK.assignment.step
PATIENCE = Patience()
COLLECTED = CollectReport(ok=True)
FETCHED = FetchReport(ok=True, total_bytes=1)


def end_of(
    main: JsonObject | None,
    *,
    launched: LaunchReport | None = None,
    collected: CollectReport | None = COLLECTED,
    **status: Any,
) -> Failure | None:
    said = {
        "initContainerStatuses": [ended("fetch", 0), ended("collect", 0)],
        "containerStatuses": [main] if main is not None else [],
    }
    return failure_of(
        PodSighting(pod_status(**{**said, **status})),
        TASK.assignment,
        fetched=FETCHED,
        launched=launched,
        collected=collected,
    )


def code_of(failure: Failure | None) -> str:
    return f"{failure.failure_class}/{failure.code}" if failure is not None else ""


EXITED = LaunchReport(ended="exited")


@pytest.mark.parametrize(
    ("main", "launched", "expected"),
    [
        (ended("main", 0), EXITED, ""),
        (ended("main", 3, reason="Error"), EXITED, "user/exit_code"),
        (ended("main", 137, reason="OOMKilled"), None, "user/out_of_memory"),
        (ended("main", 137, reason="OOMKilled"), EXITED, "user/out_of_memory"),
        (ended("main", 137, reason="Error"), LaunchReport(ended="timed_out"), "user/timed_out"),
        (ended("main", 137, reason="Error"), None, "platform/killed"),
        (ended("main", 128, reason="StartError"), None, "platform/container_not_started"),
        (None, None, "platform/lost"),
    ],
)
def test_how_main_ended(
    main: JsonObject | None, launched: LaunchReport | None, expected: str
) -> None:
    assert code_of(end_of(main, launched=launched)) == expected


def test_a_launchers_word_of_a_time_out_must_fit_the_kubelets_clock() -> None:
    patient = make_task(timeoutSeconds=60)
    pod = PodSighting(
        pod_status(
            initContainerStatuses=[ended("fetch", 0)],
            containerStatuses=[ended("main", 137, reason="Error")],
        )
    )
    forged = LaunchReport(ended="timed_out")
    found = failure_of(
        pod, patient.assignment, fetched=FETCHED, launched=forged, collected=COLLECTED
    )
    assert code_of(found) == "user/exit_code"


NOT_CLOSED = {"class": "environment", "code": "egress_not_closed", "message": "open"}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (json.dumps({"ok": False, "failure": NOT_CLOSED}), "environment/egress_not_closed"),
        ("", "platform/latch_failed"),
        ("{}", "platform/latch_failed"),
    ],
)
def test_a_latch_that_does_not_let_main_begin_says_why(said: str, expected: str) -> None:
    latch = ended("latch", 1, reason="Error", said=said)
    found = end_of(None, initContainerStatuses=[ended("fetch", 0), latch])
    assert code_of(found) == expected


@pytest.mark.parametrize(
    ("reason", "said", "expected"),
    [
        ("Evicted", 'Usage of EmptyDir volume "made" exceeds the limit "64Mi".',
         "user/storage_exceeded"),
        ("Evicted", "The node was low on resource: memory.", "platform/evicted"),
        ("DeadlineExceeded", "", "platform/mover_timed_out"),
        ("NodeLost", "", "platform/lost"),
    ],
)  # fmt: skip
def test_how_a_pod_was_ended(reason: str, said: str, expected: str) -> None:
    found = end_of(ended("main", 137, reason="Error"), reason=reason, message=said)
    assert code_of(found) == expected


def test_what_somebody_deleted_is_not_the_steps_fault() -> None:
    raw = pod_status(containerStatuses=[ended("main", 143, reason="Error")])
    raw["status"]["initContainerStatuses"] = [ended("fetch", 0)]
    raw["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:05Z"
    found = failure_of(
        PodSighting(raw), TASK.assignment, fetched=FETCHED, launched=EXITED, collected=None
    )
    assert code_of(found) == "platform/lost"


def test_a_pod_that_was_deleted_in_fetch_is_lost() -> None:
    raw = pod_status(initContainerStatuses=[ended("fetch", 143, reason="Error")])
    raw["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:05Z"
    found = failure_of(
        PodSighting(raw), TASK.assignment, fetched=None, launched=None, collected=None
    )
    assert code_of(found) == "platform/lost"


def test_what_collect_says_matters_where_main_ended_well() -> None:
    report = {"class": "user", "code": "link_leaves", "message": "It has a link."}
    failed = CollectReport.model_validate({"ok": False, "failure": report})
    assert code_of(end_of(ended("main", 0), collected=failed)) == "user/link_leaves"
    assert code_of(end_of(ended("main", 0), collected=None)) == "platform/collect_failed"
    missing = CollectReport(ok=True, missing=("model",))
    assert code_of(end_of(ended("main", 0), collected=missing)) == "user/missing_output"
    assert code_of(end_of(ended("main", 3), launched=EXITED, collected=None)) == "user/exit_code"


def test_a_failed_fetch_is_its_own_reason() -> None:
    report = {"class": "data", "code": "digest_mismatch", "message": "Other bytes."}
    pod = PodSighting(pod_status(initContainerStatuses=[ended("fetch", 1, reason="Error")]))
    found = failure_of(
        pod, TASK.assignment,
        fetched=FetchReport.model_validate({"ok": False, "failure": report}),
        launched=None, collected=None,
    )  # fmt: skip
    assert code_of(found) == "data/digest_mismatch"


@pytest.mark.parametrize(
    ("status", "expected", "at_once"),
    [
        (waiting("main", "ErrImagePull", 'pull access: "x": not found'),
         "environment/image_unavailable", True),
        (waiting("main", "ErrImagePull", "authorization failed: no basic auth credentials"),
         "environment/image_refused", True),
        (waiting("main", "ErrImagePull", "unexpected status from HEAD request: 401 Unauthorized"),
         "environment/image_refused", True),
        (waiting("main", "ErrImagePull", 'failed commit on ref "layer-sha256:ab": unexpected '
                 "commit digest sha256:cd, expected sha256:ab: failed precondition"),
         "environment/image_changed", True),
        (waiting("main", "ErrImageNeverPull", "image is not present with pull policy of Never"),
         "environment/image_unavailable", True),
        (waiting("main", "ImagePullBackOff", "dial tcp: i/o timeout"),
         "environment/image_unavailable", False),
        (waiting("main", "CreateContainerConfigError",
                 "container has runAsNonRoot and image will run as root"),
         "environment/image_runs_as_root", True),
        (waiting("main", "CreateContainerError", "no such device"),
         "platform/container_not_started", False),
        (waiting("main", "PodInitializing"), "", False),
        (waiting("main", "ContainerCreating"), "", False),
    ],
)  # fmt: skip
def test_what_keeps_a_container_from_starting(
    status: JsonObject, expected: str, at_once: bool
) -> None:
    pod = PodSighting(pod_status(containerStatuses=[status]))
    found = find_trouble(Seen(job={}, pods=(), events=()), pod, STEP, PATIENCE)
    assert (code_of(found.failure) if found else "") == expected
    assert (found is not None and found.patience == AT_ONCE) == at_once


def test_the_resource_that_no_node_has_is_named() -> None:
    condition = {
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available: 2 Insufficient cpu, 1 Insufficient nvidia.com/gpu.",
    }  # fmt: skip
    pod = PodSighting(pod_status(conditions=[condition]))
    found = find_trouble(Seen(job={}, pods=(), events=()), pod, STEP, PATIENCE)
    assert found is not None
    assert code_of(found.failure) == "environment/unschedulable"
    assert "cpu, nvidia.com/gpu" in found.failure.message
    assert found.patience == PATIENCE.room


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('Error creating: pods "run-x" is forbidden: exceeded quota: small, requested: cpu=1, '
         "used: cpu=1, limited: cpu=1", "environment/quota_exceeded"),
        ('Error creating: pods "run-x" is forbidden: violates PodSecurity "restricted:latest": '
         "runAsNonRoot != true", "environment/not_admitted"),
        ('Error creating: admission webhook "x" denied the request: no',
         "environment/not_admitted"),
        ("Error creating: etcdserver: request timed out", "platform/pod_not_created"),
    ],
)  # fmt: skip
def test_only_a_jobs_events_say_why_there_is_no_pod(said: str, expected: str) -> None:
    event = {"reason": "FailedCreate", "message": said, "lastTimestamp": "2026-01-01T00:00:00Z"}
    found = find_trouble(Seen(job={}, pods=(), events=(event,)), None, STEP, PATIENCE)
    assert found is not None
    assert code_of(found.failure) == expected
    assert "run-x" not in found.failure.message


def test_nothing_is_in_the_way_of_a_job_that_was_just_made() -> None:
    assert find_trouble(Seen(job={}, pods=(), events=()), None, STEP, PATIENCE) is None


def test_what_user_code_wrote_over_the_launchers_words_is_not_taken_for_them() -> None:
    assert read_launch("anything") is None
    assert read_launch('{"ended":"flown"}') is None
    assert read_launch(json.dumps({"ended": "timed_out", "cpu_milliseconds": -1})) is None
    assert read_launch(json.dumps({"ended": "exited", "peak_memory_bytes": 2**53})) is None
    said = {"ended": "exited", "cpu_milliseconds": 5, "peak_memory_bytes": None}
    assert read_launch(json.dumps(said)) == LaunchReport(ended="exited", cpu_milliseconds=5)


def test_the_last_report_in_a_log_counts() -> None:
    log = b'noise\nanimus-report {"ok":false}\nanimus-report {"ok":true}\n'
    assert report_in(log) == b'{"ok":true}'
    assert report_in(b"noise") is None
    assert report_in(None) is None


def job_that(*, annotations: JsonObject | None = None, **said: Any) -> JsonObject:
    return {"metadata": {"annotations": annotations or {}}, **said}


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        (None, "Its Job was deleted"),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, "Its Job was deleted"),
        (job_that(spec={"suspend": True}), "Its Job was suspended"),
        (job_that(annotations={FAILURE: "{}"}), "Its pod was deleted"),
    ],
)
def test_what_is_said_of_a_job_without_a_pod(job: JsonObject | None, sentence: str) -> None:
    found = gone(Seen(job=job, pods=(), events=()))
    assert code_of(found) == "platform/lost"
    assert found.message.startswith(sentence)


def test_a_reason_that_was_noted_on_the_job_stays_the_reason() -> None:
    failure = not_admitted("violates PodSecurity")
    job = job_that(annotations=note_of(failure), spec={"suspend": True})
    assert gone(Seen(job=job, pods=(), events=())) == failure


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ({"metadata": {}, "spec": {}}, False),
        ({"metadata": {}, "spec": {"suspend": True}}, True),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, True),
        ({"metadata": {}, "status": {"conditions": [{"type": "Failed", "status": "True"}]}}, True),
    ],
)
def test_of_which_jobs_no_pod_is_to_be_waited_for(job: JsonObject, expected: bool) -> None:
    assert JobSighting(job).makes_no_pod is expected
