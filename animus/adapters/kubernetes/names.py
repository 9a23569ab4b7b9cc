"""Names and labels by which any agent of a cluster finds what belongs to an attempt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from animus.domain import execution_names
from animus.domain.ids import AttemptId
from animus.domain.work_orders import WorkOrder

PREFIX = "animus.io"
CLUSTER = f"{PREFIX}/cluster"
AGENT = f"{PREFIX}/agent"
"""The id of the key that a registered cluster's agents sign with: no two installations share it."""
PROJECT = f"{PREFIX}/project"
RUN = f"{PREFIX}/run"
STEP = f"{PREFIX}/step"
ATTEMPT = f"{PREFIX}/attempt"
ATTEMPT_ID = execution_names.JOB_ATTEMPT_LABEL
PLAN = f"{PREFIX}/plan"
"""The beginning of the plan's digest: a label's value is shorter than a digest."""
PLAN_DIGEST = f"{PREFIX}/plan-digest"
ORDER_DIGEST = f"{PREFIX}/order-digest"
FAILURE = f"{PREFIX}/failure"
SECRETS_MARK = f"{PREFIX}/secrets-mark"

EGRESS = f"{PREFIX}/egress"
"""What a pod may reach, by the namespace's network policies."""
STORE, PLAN_ONLY = "store", "plan"
"""While fetch and collect work; while main may run: what its plan grants, and nothing else."""
GRANT = f"egress.{PREFIX}"
"""Begins the label for each host and port that the plan grants a step."""
OUTCOME_FINALIZER = "animus/outcome"
"""Keeps a Job until its outcome is recorded, whoever deletes it."""

MAX_LABEL = 63
_PLAN_LENGTH = 32
_HASH_LENGTH = 8
_GRANT_LENGTH = 32
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    cluster: str
    agent: str

    @property
    def labels(self) -> dict[str, str]:
        """On everything that this cluster's agents make, and on nothing of another installation's,
        though it were in the same namespace and its cluster had the same name."""
        return {CLUSTER: label_value(self.cluster), AGENT: self.agent}

    @property
    def selector(self) -> str:
        return ",".join(f"{key}={value}" for key, value in self.labels.items())

    def selector_of(self, attempt_id: AttemptId) -> str:
        return f"{self.selector},{ATTEMPT_ID}={attempt_id}"

    def labels_of(self, order: WorkOrder) -> dict[str, str]:
        return self.labels | {
            PROJECT: order.project_id,
            RUN: order.run_id,
            STEP: label_value(order.step),
            ATTEMPT: str(order.attempt),
            ATTEMPT_ID: order.order_id,
            PLAN: _hexadecimal(order.plan_digest)[:_PLAN_LENGTH],
        }


def job_name(order: WorkOrder) -> str:
    """One for each attempt: an order's id is that of its attempt."""
    return execution_names.job_name(
        run_id=order.run_id, step=order.step, attempt=order.attempt, attempt_id=order.order_id
    )


def run_secret_name(job: str) -> str:
    """Of the Secret with main's own token, where the step has `telemetry`."""
    return f"{job}-r"


def step_secret_name(job: str) -> str:
    """Of the Secret with the step's own secrets, for main alone."""
    return f"{job}-s"


def label_value(text: str) -> str:
    """The text where it may be a label's value, else its beginning with a mark of the whole."""
    if _LABEL.fullmatch(text):
        return text
    mark = sha256(text.encode()).hexdigest()[:_HASH_LENGTH]
    kept = re.sub(r"[^A-Za-z0-9._-]", "-", text)[: MAX_LABEL - _HASH_LENGTH - 1].strip("-._")
    return f"{kept}-{mark}" if kept else mark


def grant_label(host: str, port: int) -> str:
    """On the pods that may reach it; the cluster's network policies select by it."""
    return f"{GRANT}/{sha256(f'{host}:{port}'.encode()).hexdigest()[:_GRANT_LENGTH]}"


def attempt_in(labels: dict[str, str]) -> AttemptId | None:
    """The attempt that an object's labels name, where they name one."""
    try:
        return AttemptId(UUID(labels.get(ATTEMPT_ID, "")))
    except ValueError:
        return None


def _hexadecimal(digest: str) -> str:
    return digest.removeprefix("sha256:")
