"""The gateway's operations that the SDK uses: method, path, and what repeating one means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Repeat(Enum):
    """When a request may be sent again although the first one may have been carried out."""

    ALWAYS = "always"
    """It reads, or doing it twice is doing it once."""
    WITH_KEY = "with_key"
    """It creates: the same idempotency key gives the same result."""
    UNSENT = "unsent"
    """Twice would be an error: only where nothing was carried out for certain."""


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    repeat: Repeat


def _read(path: str) -> Operation:
    return Operation("GET", path, Repeat.ALWAYS)


def _ask(path: str) -> Operation:
    return Operation("POST", path, Repeat.ALWAYS)


def _create(path: str) -> Operation:
    return Operation("POST", path, Repeat.WITH_KEY)


def _once(path: str) -> Operation:
    return Operation("POST", path, Repeat.UNSENT)


_V1 = "/api/v1"
_PROJECT = f"{_V1}/projects/{{project_id}}"

BOOTSTRAP = _once(f"{_V1}/bootstrap")
WHO_AM_I = _read(f"{_V1}/whoami")
LIST_PERSONS = _read(f"{_V1}/principals")
CREATE_PERSON = _create(f"{_V1}/principals")
DISABLE_PERSON = _ask(f"{_V1}/principals/{{principal_id}}:disable")
GET_MAIL_ADDRESS = _read(f"{_V1}/principals/{{principal_id}}/address")
SET_MAIL_ADDRESS = _ask(f"{_V1}/principals/{{principal_id}}/address:set")
ISSUE_PERSON_TOKEN = _create(f"{_V1}/principals/{{principal_id}}/tokens")
LIST_TOKENS = _read(f"{_V1}/tokens")
ISSUE_TOKEN = _create(f"{_V1}/tokens")
REVOKE_TOKEN = _ask(f"{_V1}/tokens/{{token_id}}:revoke")
LIST_CLUSTERS = _read(f"{_V1}/clusters")
REGISTER_CLUSTER = _create(f"{_V1}/clusters")
RETIRE_CLUSTER = _ask(f"{_V1}/clusters/{{cluster_id}}:retire")
GET_CAPACITY = _read(f"{_V1}/clusters/{{cluster_id}}/capacity")
SET_CAPACITY = _ask(f"{_V1}/clusters/{{cluster_id}}/capacity:set")

LIST_PROJECTS = _read(f"{_V1}/projects")
CREATE_PROJECT = _create(f"{_V1}/projects")
GET_PROJECT = _read(_PROJECT)
GET_QUOTA = _read(f"{_PROJECT}/quota")
SET_QUOTA = _ask(f"{_PROJECT}/quota:set")
GET_PROJECT_CLUSTERS = _read(f"{_PROJECT}/clusters")
SET_PROJECT_CLUSTERS = _ask(f"{_PROJECT}/clusters:set")
LIST_QUEUE = _read(f"{_PROJECT}/queue")
LIST_ROLES = _read(f"{_PROJECT}/role-bindings")
GRANT_ROLE = _create(f"{_PROJECT}/role-bindings")
REVOKE_ROLE = _ask(f"{_PROJECT}/role-bindings/{{binding_id}}:revoke")
LIST_CHANGES = _read(f"{_PROJECT}/changes")
GET_CHANGE = _read(f"{_PROJECT}/changes/{{change_id}}")
CONFIRM_CHANGE = _once(f"{_PROJECT}/changes/{{change_id}}:confirm")
REJECT_CHANGE = _once(f"{_PROJECT}/changes/{{change_id}}:reject")
LIST_SERVICE_ACCOUNTS = _read(f"{_PROJECT}/service-accounts")
CREATE_SERVICE_ACCOUNT = _create(f"{_PROJECT}/service-accounts")
ISSUE_SERVICE_TOKEN = _create(f"{_PROJECT}/service-accounts/{{principal_id}}/tokens")

LIST_DATASETS = _read(f"{_PROJECT}/datasets")
CREATE_DATASET = _create(f"{_PROJECT}/datasets")
LIST_VERSIONS = _read(f"{_PROJECT}/datasets/{{dataset_id}}/versions")
DECLARE_VERSION = _create(f"{_PROJECT}/datasets/{{dataset_id}}/uploads")
GET_DATASET_UPLOAD = _read(f"{_PROJECT}/dataset-uploads/{{upload_id}}")
COMMIT_VERSION = _ask(f"{_PROJECT}/dataset-uploads/{{upload_id}}:commit")
GET_VERSION = _read(f"{_PROJECT}/dataset-versions/{{version_id}}")
LIST_VERSION_FILES = _read(f"{_PROJECT}/dataset-versions/{{version_id}}/files")

DECLARE_SOURCE = _create(f"{_PROJECT}/source-uploads")
COMMIT_SOURCE = _ask(f"{_PROJECT}/source-uploads/{{upload_id}}:commit")

CHECK_STORE = _read(f"{_PROJECT}/store-check")

LIST_ENVIRONMENTS = _read(f"{_PROJECT}/environments")
DEFINE_ENVIRONMENT = _create(f"{_PROJECT}/environments")
LOCK_ENVIRONMENT = _create(f"{_PROJECT}/environments/{{environment_id}}/locks")
LIST_LOCKS = _read(f"{_PROJECT}/environment-locks")
GET_LOCK = _read(f"{_PROJECT}/environment-locks/{{lock_id}}")

CHECK_PIPELINE = _ask(f"{_V1}/pipelines:check")
REGISTER_PIPELINE = _create(f"{_PROJECT}/pipelines")
LIST_PIPELINES = _read(f"{_PROJECT}/pipelines")
GET_PIPELINE = _read(f"{_PROJECT}/pipelines/{{digest}}")

LIST_POLICIES = _read(f"{_PROJECT}/policies")
CREATE_POLICY = _create(f"{_PROJECT}/policies")
GET_POLICY = _read(f"{_PROJECT}/policies/{{name}}")
ADD_POLICY_VERSION = _create(f"{_PROJECT}/policies/{{name}}/versions")
PUBLISH_POLICY = _create(f"{_PROJECT}/policies/{{name}}/versions/{{version}}:publish")
WITHDRAW_POLICY = _create(f"{_PROJECT}/policies/{{name}}/versions/{{version}}:withdraw")

PREVIEW_RUN = _ask(f"{_PROJECT}/runs:preview")
SUBMIT_RUN = _create(f"{_PROJECT}/runs")
LIST_RUNS = _read(f"{_PROJECT}/runs")
FIND_RUNS = _read(f"{_PROJECT}/runs:find")
COMPARE_PLANS = _ask(f"{_PROJECT}/plans:compare")
GET_RUN = _read(f"{_PROJECT}/runs/{{run_id}}")
EXPLAIN_RUN = _read(f"{_PROJECT}/runs/{{run_id}}/explanation")
GET_RUN_PLAN = _read(f"{_PROJECT}/runs/{{run_id}}/plan")
LIST_RUN_GATES = _read(f"{_PROJECT}/runs/{{run_id}}/gates")
STREAM_RUN_EVENTS = _read(f"{_PROJECT}/runs/{{run_id}}/events")
STREAM_ATTEMPT_LOG = _read(f"{_PROJECT}/runs/{{run_id}}/steps/{{step}}/attempts/{{number}}/log")
GET_ATTEMPT_INPUTS = _read(f"{_PROJECT}/runs/{{run_id}}/steps/{{step}}/attempts/{{number}}/inputs")
CANCEL_RUN = _ask(f"{_PROJECT}/runs/{{run_id}}:cancel")
LIST_METRICS = _read(f"{_PROJECT}/runs/{{run_id}}/metrics")
LOG_METRICS = _create(f"{_PROJECT}/runs/{{run_id}}/metrics")
LOG_MESSAGES = _create(f"{_PROJECT}/runs/{{run_id}}/messages")

LIST_GATES = _read(f"{_PROJECT}/gates")
GET_GATE = _read(f"{_PROJECT}/gates/{{gate_id}}")
LIST_DECISIONS = _read(f"{_PROJECT}/decisions")
GET_REVIEW = _read(f"{_PROJECT}/gates/{{gate_id}}/review")
DECIDE = _create(f"{_PROJECT}/gates/{{gate_id}}/decisions")
LIST_DELEGATIONS = _read(f"{_PROJECT}/delegations")
DELEGATE = _create(f"{_PROJECT}/delegations")
REVOKE_DELEGATION = _ask(f"{_PROJECT}/delegations/{{delegation_id}}:revoke")
WITHDRAW_DECISION = _create(f"{_PROJECT}/decisions/{{decision_id}}/withdrawal")
LIST_QUESTIONS = _read(f"{_PROJECT}/gates/{{gate_id}}/questions")
ASK_QUESTION = _create(f"{_PROJECT}/gates/{{gate_id}}/questions")
ANSWER_QUESTION = _create(f"{_PROJECT}/questions/{{question_id}}/answer")

LIST_ARTIFACTS = _read(f"{_PROJECT}/artifacts")
GET_ARTIFACT = _read(f"{_PROJECT}/artifacts/{{artifact_id}}")
DOWNLOAD_ARTIFACT = _read(f"{_PROJECT}/artifacts/{{artifact_id}}/download")
DECLARE_ARTIFACT = _create(f"{_PROJECT}/artifacts")
COMMIT_ARTIFACT = _ask(f"{_PROJECT}/artifacts/{{artifact_id}}:commit")

LIST_PROJECT_EVENTS = _read(f"{_PROJECT}/audit-events")
LIST_PLATFORM_EVENTS = _read(f"{_V1}/audit-events")

GET_STEP_INPUTS = _read(f"{_V1}/attempt/inputs")
REQUEST_STEP_UPLOADS = _ask(f"{_V1}/attempt/uploads")
