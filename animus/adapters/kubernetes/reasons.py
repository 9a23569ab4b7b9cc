"""Why an attempt can't start, or ended as it did: the cluster's words, put as a person needs them.

Failures say what happened and what to do. What a registry or a step has written is not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from animus.adapters.kubernetes.errors import NO_QUOTA
from animus.adapters.kubernetes.manifests import COLLECT, FETCH, LATCH, MAIN
from animus.adapters.kubernetes.notes import find_noted
from animus.adapters.kubernetes.reports import LaunchReport
from animus.adapters.kubernetes.sightings import ContainerSighting, JobSighting, PodSighting
from animus.adapters.kubernetes.watching import Seen
from animus.adapters.steps.failures import (
    collect_failure,
    environment_failure,
    exited_with,
    out_of_memory,
    platform_failure,
    storage_exceeded,
    timed_out,
    user_failure,
)
from animus.adapters.steps.reports import (
    CollectReport,
    FetchReport,
    LatchReport,
    read_report,
)
from animus.domain.pipelines import Step
from animus.domain.work_orders import Assignment, Failure

AT_ONCE = timedelta(0)
_KILLED, _TERMINATED, _TOO_LARGE_FILE = 128 + 9, 128 + 15, 128 + 25
_ROUNDED = 1
"""Seconds: a kubelet says no fractions of them."""
_SAID = 200

_NO_IMAGE = re.compile(
    r"not found|manifest unknown|invalid reference|not present with pull policy", re.IGNORECASE
)
_NO_SIGN_IN = re.compile(r"unauthorized|denied|forbidden|no basic auth", re.IGNORECASE)
_OTHER_BYTES = re.compile(
    r"unexpected .*(digest|size)|failed commit on ref|failed size validation", re.IGNORECASE
)
_WAITS_FOR_IMAGE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
)
_NOT_ADMITTED = re.compile(
    r"violates PodSecurity|denied the request|forbidden: (?!exceeded quota)|is invalid|"
    r"RuntimeClass .*not found|unable to validate against any security context constraint",
)
_TOO_MUCH_WRITTEN = re.compile(r"EmptyDir volume|ephemeral local storage usage|local ephemeral")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the cluster may take to do what it may still do."""

    room: timedelta = timedelta(minutes=30)
    """Until a node or a quota has room: other work may end, a cluster may grow."""
    start: timedelta = timedelta(minutes=3)
    """Until an image is there and a container has started, once the kubelet has said no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What keeps an attempt from starting, and how long that may last."""

    failure: Failure
    patience: timedelta


def find_trouble(
    seen: Seen, pod: PodSighting | None, step: Step, patience: Patience
) -> Trouble | None:
    """What is in the way now, if something is."""
    if pod is None:
        return _trouble_without_pod(seen, patience)
    if pod.unschedulable:
        return Trouble(failure=_unschedulable(pod, step), patience=patience.room)
    for name in (FETCH, LATCH, COLLECT, MAIN):
        if (found := _trouble_of(name, pod.container(name), step, patience)) is not None:
            return found
    return None


def failure_of(
    pod: PodSighting,
    assignment: Assignment,
    *,
    fetched: FetchReport | None,
    launched: LaunchReport | None,
    collected: CollectReport | None,
) -> Failure | None:
    """Of a pod that has ended; None for success."""
    step = assignment.step
    found: Iterator[Failure | None] = iter(
        (
            _of_fetch(pod, fetched),
            _of_latch(pod),
            _of_pod(pod, step),
            _of_main(pod, step, launched),
            collect_failure(step, collected),
        )
    )
    return next((failure for failure in found if failure is not None), None)


def gone(seen: Seen) -> Failure:
    """There is no pod of the Job, and there will be none."""
    if (noted := find_noted(seen.job)) is not None:
        return noted
    job = JobSighting(seen.job) if seen.job is not None else None
    if job is None or job.is_being_deleted:
        return platform_failure(
            "lost", "Its Job was deleted by somebody else: it is not started again."
        )
    if job.is_suspended:
        return platform_failure(
            "lost", "Its Job was suspended by somebody else: it is not started again."
        )
    return _DELETED


_DELETED = platform_failure(
    "lost",
    "Its pod was deleted by somebody else, by a drained or a lost node: it is not started again "
    "in this attempt.",
)


def not_admitted(said: str) -> Failure:
    return environment_failure(
        "not_admitted",
        f"The cluster does not admit it: {said[:_SAID]} Ask the cluster's administrator.",
    )


def quota_exceeded(said: str) -> Failure:
    return environment_failure(
        "quota_exceeded",
        "The namespace's quota has no room for it. Wait, ask for less, or ask the "
        f"cluster's administrator for more. ({_quota_in(said)})",
    )


def _trouble_without_pod(seen: Seen, patience: Patience) -> Trouble | None:
    """Only the Job's events say why there is none."""
    said = [str(event.get("message") or "") for event in _latest_first(seen)]
    for text in said:
        if NO_QUOTA in text:
            return Trouble(failure=quota_exceeded(text), patience=patience.room)
        if _NOT_ADMITTED.search(text):
            return Trouble(failure=not_admitted(_without_names(text)), patience=AT_ONCE)
    if said:
        failure = platform_failure("pod_not_created", "The cluster can't create its pod.")
        return Trouble(failure=failure, patience=patience.start)
    return None


def _latest_first(seen: Seen) -> list[dict[str, object]]:
    created = [e for e in seen.events if e.get("reason") == "FailedCreate"]
    return sorted(created, key=lambda e: str(e.get("lastTimestamp") or ""), reverse=True)


def _trouble_of(
    name: str, container: ContainerSighting, step: Step, patience: Patience
) -> Trouble | None:
    reason, said = container.reason, container.said
    if container.has_ended or container.is_running:
        return None
    if reason in _WAITS_FOR_IMAGE:
        image = step.image if name == MAIN else "of fetch and collect"
        return _trouble_with_image(image, container, patience)
    if reason == "CreateContainerConfigError" and "runAsNonRoot" in said:
        failure = environment_failure(
            "image_runs_as_root",
            "The image runs as root, or names its user by name. Give it a numeric USER that is "
            "not 0.",
        )
        return Trouble(failure=failure, patience=AT_ONCE)
    if reason.endswith("Error"):
        failure = platform_failure(
            "container_not_started", f"The node can't start {name} ({reason})."
        )
        return Trouble(failure=failure, patience=patience.start)
    return None


def _trouble_with_image(image: str, container: ContainerSighting, patience: Patience) -> Trouble:
    """What a registry has refused it will refuse again; what did not answer may answer later."""
    said = container.said
    if _OTHER_BYTES.search(said):
        failure = environment_failure(
            "image_changed",
            f"What the registry gives out as the image {image} has not this digest: it was altered "
            "or damaged there. Nothing of it was started. Tell who runs the registry.",
        )
        return Trouble(failure=failure, patience=AT_ONCE)
    if _NO_SIGN_IN.search(said):
        failure = environment_failure(
            "image_refused",
            f"The registry does not let the cluster have the image {image}. Check the agent's "
            "pull_secrets, that the namespace has them, and that they are good for this image.",
        )
        return Trouble(failure=failure, patience=AT_ONCE)
    failure = environment_failure(
        "image_unavailable",
        f"The cluster can't get the image {image}. Check that its registry has this digest, and "
        "that the cluster reaches it.",
    )
    is_certain = container.reason == "InvalidImageName" or _NO_IMAGE.search(said) is not None
    return Trouble(failure=failure, patience=AT_ONCE if is_certain else patience.start)


def _unschedulable(pod: PodSighting, step: Step) -> Failure:
    lacking = sorted(set(re.findall(r"Insufficient ([A-Za-z0-9./-]+)", pod.unschedulable)))
    amounts = step.resources
    asks = f"It asks for cpu {amounts.cpu}, memory {amounts.memory}, gpu {amounts.gpu}."
    what = f"too little {', '.join(lacking)}" if lacking else "none fits its placement"
    return environment_failure(
        "unschedulable", f"No node has room for it: {what}. {asks} Ask for less, or for a node."
    )


def _of_fetch(pod: PodSighting, fetched: FetchReport | None) -> Failure | None:
    container = pod.container(FETCH)
    if container.exit_code == 0:
        return None
    if fetched is not None and fetched.failure is not None:
        return fetched.failure.failure()
    if pod.is_being_deleted:
        return _DELETED
    if container.reason == "OOMKilled":
        return platform_failure("fetch_failed", "Fetch needed more memory than it is given.")
    if pod.reason:
        return None  # the pod's own end explains it
    return platform_failure("fetch_failed", "Fetch ended without saying what it did.")


def _of_latch(pod: PodSighting) -> Failure | None:
    container = pod.container(LATCH)
    if container.exit_code in (None, 0) or pod.is_being_deleted or pod.reason:
        return None  # there is none, or the pod's own end explains it
    report = read_report(LatchReport, container.said.encode())
    if report is not None and report.failure is not None:
        return report.failure.failure()
    return platform_failure("latch_failed", "Latch ended without saying what it saw.")


def _of_pod(pod: PodSighting, step: Step) -> Failure | None:
    match pod.reason:
        case "":
            return None
        case "Evicted" if _TOO_MUCH_WRITTEN.search(pod.said):
            return storage_exceeded(step)
        case "Evicted":
            return platform_failure(
                "evicted", "The node was short of memory or disk and evicted it."
            )
        case "DeadlineExceeded":
            return platform_failure(
                "mover_timed_out", "Fetch or collect took longer than an hour, and was ended."
            )
        case reason:
            return platform_failure("lost", f"The node ended it ({reason[:_SAID]}).")


def _of_main(pod: PodSighting, step: Step, launched: LaunchReport | None) -> Failure | None:
    main = pod.container(MAIN)
    if _has_timed_out(main, step, launched):
        return timed_out(step)
    if pod.is_being_deleted and main.exit_code != 0:
        return _DELETED  # not by us: we delete what we have read
    match main.exit_code:
        case None:
            return platform_failure("lost", "Its pod ended before main had ended.")
        case 0:
            return None
        case _ if main.reason == "OOMKilled":
            return out_of_memory(step)
        case _ if main.reason in ("StartError", "ContainerCannotRun"):
            return platform_failure(
                "container_not_started", f"The node can't start main ({main.reason})."
            )
        case code if code == _TOO_LARGE_FILE:
            return storage_exceeded(step)
        case code if launched is not None:
            return exited_with(code)
        case code if code in (_KILLED, _TERMINATED):
            return platform_failure(
                "killed", "It was killed from outside, with its launcher, and not by Animus."
            )
        case code:
            return user_failure("exit_code", f"exited with {code}")


def _has_timed_out(main: ContainerSighting, step: Step, launched: LaunchReport | None) -> bool:
    """The launcher's word, if the kubelet's clock bears it out: should user code get its launcher
    killed, the word may be user code's."""
    if launched is None or not launched.has_timed_out or main.exit_code != _KILLED:
        return False
    began, over = main.started_at, main.finished_at
    took = (over - began).total_seconds() if began is not None and over is not None else 0.0
    return took >= step.timeoutSeconds - _ROUNDED


def _quota_in(text: str) -> str:
    """The part of the api server's sentence that names amounts."""
    return text.partition(f"{NO_QUOTA}: ")[2][:_SAID] or "no amounts were said"


def _without_names(text: str) -> str:
    """Without the pod's generated name, which nobody knows."""
    return text.partition(" is forbidden: ")[2] or text.partition("Error creating: ")[2] or text
