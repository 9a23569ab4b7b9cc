"""Attempts and what a cluster says of them, for tests without a cluster."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from animus.adapters.kubernetes.names import Naming
from animus.adapters.kubernetes.sites import Latch, Site
from animus.domain.canonical import JsonObject
from animus.domain.documents import decode_document
from animus.domain.ids import AttemptId
from animus.domain.pipelines import Step
from animus.domain.work_orders import Assignment, WorkOrder
from animus.ports import AttemptTask
from tests.support.documents import DIGEST_A, DIGEST_B, explicit_step, output

STEP_IMAGE = f"registry.example/animus-step@{DIGEST_B}"
ATTEMPT_ID = AttemptId(UUID("01998a7e-1111-7aaa-8aaa-0000000000aa"))
SITE = Site(
    naming=Naming(cluster="north", agent="0123456789abcdef"),
    namespace="animus-runs",
    step_image=STEP_IMAGE,
    gateway_url="https://animus.example",
)
SWITCHED = replace(
    SITE,
    latch=Latch(
        places=("animus.example:443", "192.0.2.20:9000"),
        seconds=300,
        granted=frozenset({"pypi.example:443"}),
    ),
)


def make_task(
    *,
    sandbox: str | None = None,
    promised: Literal["switched"] | None = None,
    run_token: str | None = None,
    **step: Any,
) -> AttemptTask:
    said = explicit_step(**{"outputs": {"artifacts": [output("model")]}, **step})
    assignment = Assignment(
        step=decode_document(Step, said, what="step"),
        inputs=(),
        parameters={"rate": 0.5, "name": "x"},
        sandbox=sandbox,
        egress=promised,
    )
    order = WorkOrder(
        order_id=str(ATTEMPT_ID),
        project_id="01998a7e-0000-7aaa-8aaa-000000000001",
        run_id="01998a7e-0000-7aaa-8aaa-000000000002",
        step=said["name"],
        attempt=1,
        cluster="north",
        plan_digest=DIGEST_A,
        step_digest=DIGEST_B,
        not_before=datetime(2026, 1, 1, tzinfo=UTC),
        not_after=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return AttemptTask(
        attempt_id=ATTEMPT_ID,
        order=order,
        assignment=assignment,
        attempt_token="attempt-secret",
        run_token=run_token,
        max_log_bytes=1024,
    )


def pod_status(**status: Any) -> JsonObject:
    """A pod that says this of itself."""
    named = {"name": "pod", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": named, "spec": {}, "status": status}


def ended(name: str, code: int, *, reason: str = "Completed", said: str = "") -> JsonObject:
    terminated = {
        "exitCode": code, "reason": reason, "message": said,
        "startedAt": "2026-01-01T00:00:01Z", "finishedAt": "2026-01-01T00:00:09Z",
    }  # fmt: skip
    return {"name": name, "state": {"terminated": terminated}}


def waiting(name: str, reason: str, said: str = "") -> JsonObject:
    return {"name": name, "state": {"waiting": {"reason": reason, "message": said}}}
