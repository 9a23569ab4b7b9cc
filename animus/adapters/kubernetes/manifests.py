"""From an attempt to the objects that run it: pure, so that what is applied can be read and tested.

A pod of three containers: fetch brings the inputs, main is the user's image, and collect, which
starts before main as a sidecar, uploads what main left once the kubelet tells it to end. Where
egress is switched a fourth, latch, stands before main until the network of fetch is gone.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping

from animus.adapters.kubernetes.names import (
    EGRESS,
    ORDER_DIGEST,
    OUTCOME_FINALIZER,
    PLAN_DIGEST,
    SECRETS_MARK,
    STORE,
    grant_label,
    job_name,
    run_secret_name,
    step_secret_name,
)
from animus.adapters.kubernetes.placements import check_egress, check_granted, pod_fields
from animus.adapters.kubernetes.sites import Latch, Site
from animus.adapters.steps.variables import SECRETS, main_variables
from animus.domain.canonical import JsonObject
from animus.domain.digests import format_digest
from animus.domain.pipelines import Step
from animus.domain.work_orders import WorkOrder, order_digest, sealed
from animus.ports import AttemptTask

FETCH, LATCH, COLLECT, MAIN = "fetch", "latch", "collect", "main"

KEPT_SECONDS = 7 * 86_400
"""After which the cluster removes a Job that nobody came back for."""
MOVER_SECONDS = 3_600
"""What fetch and collect may take each: long enough for what fits a step's storage."""
MAIN_GRACE = 30
"""Seconds that main has after a SIGTERM, of the pod's hour: the rest is for collect."""
MESSAGE = "/dev/termination-log"
LAUNCHER, READY = "bin/launch", "bin/collects"
"""In the attempt's volume: what starts main, and the sign that collect has begun to listen."""

_PLACE = "/animus"
_ATTEMPT = f"{_PLACE}/attempt"
_TOKENS = f"{_PLACE}/token"
_TOKEN_KEY, _RUN_TOKEN_KEY = "attempt-token", "run-token"
_GIVEN, _MADE, _TMP, _TOKEN, _RUN_TOKEN = "given", "made", "tmp", "token", "run-token"
_SECRETS = "secrets"
_FOR_MAINS_GROUP = 0o440
"""Whatever user main is, its group is 0, and nobody else is in its container."""
_READ = ("in", "code", "params.json", "bin")
_WRITTEN = ("work", "out")
_MOVER_REQUESTS = {"cpu": "50m", "memory": "64Mi"}
_MOVER_LIMITS = {"cpu": "1", "memory": "512Mi"}


_OF_THE_KUBELET = (
    "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS",
    "KUBERNETES_PORT", "KUBERNETES_PORT_443_TCP", "KUBERNETES_PORT_443_TCP_PROTO",
    "KUBERNETES_PORT_443_TCP_PORT", "KUBERNETES_PORT_443_TCP_ADDR",
)  # fmt: skip
"""Where the api server is, told to every container whatever its pod says."""


class Uncommanded(ValueError):
    """A step that leaves its command to its image: only the engine knows it then."""


class Unswitched(ValueError):
    """The plan promises that egress is switched, and this agent does not switch it."""


def job_of(task: AttemptTask, site: Site) -> JsonObject:
    """Raises `Uncommanded`, `NotGranted`, `EgressNotGranted`, `Unswitched`."""
    order, placement = task.order, task.assignment.placement
    check_granted(placement, site.grants)
    if site.latch is not None:
        check_egress(task.assignment.step.egress, site.latch.granted)
    elif task.assignment.egress is not None:
        raise Unswitched(task.order.cluster)
    labels = (placement.labels if placement else {}) | site.naming.labels_of(order)
    noted = {PLAN_DIGEST: order.plan_digest, ORDER_DIGEST: _digest_of(order)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(order),
            "namespace": site.namespace,
            "labels": labels,
            "annotations": noted | _mark_of(task),
            "finalizers": [OUTCOME_FINALIZER],
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "podReplacementPolicy": "Failed",
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                "metadata": {
                    "labels": labels | {EGRESS: STORE} | _granted(task, site) | _UNMESHED,
                    "annotations": noted | _WITHOUT_MESH,
                },
                "spec": _pod(task, site),
            },
        },
    }


def knows_given(task: AttemptTask, job: JsonObject) -> bool:
    """Whether the Job's main was given the values that the task has."""
    noted = job["metadata"].get("annotations") or {}
    return not task.has_secrets or noted.get(SECRETS_MARK) == task.secrets_mark != ""


def _mark_of(task: AttemptTask) -> dict[str, str]:
    return {SECRETS_MARK: task.secrets_mark} if task.secrets else {}


def _granted(task: AttemptTask, site: Site) -> dict[str, str]:
    """For the whole of the pod: fetch and collect have no use for it, and can do no harm."""
    rules = task.assignment.step.egress if site.latch is not None else ()
    return {grant_label(rule.host, rule.port): "granted" for rule in rules}


def latch_of(task: AttemptTask, site: Site) -> Latch | None:
    """A main with telemetry needs api and store itself: nothing is taken from it."""
    return None if task.assignment.step.telemetry else site.latch


def is_job_of(order: WorkOrder, job: JsonObject) -> bool:
    """Whether a Job was made for this very order."""
    noted = job["metadata"].get("annotations") or {}
    return bool(noted.get(ORDER_DIGEST) == _digest_of(order))


def _digest_of(order: WorkOrder) -> str:
    return format_digest(order_digest(sealed(order)))


def secrets_of(task: AttemptTask, job: JsonObject) -> Iterator[JsonObject]:
    """Tokens and secrets that live as long as the Job, which owns them. Never printed or logged."""
    name = job["metadata"]["name"]
    yield _secret(name, {_TOKEN_KEY: task.attempt_token.encode()}, job)
    if task.run_token is not None:
        yield _secret(run_secret_name(name), {_RUN_TOKEN_KEY: task.run_token.encode()}, job)
    if task.secrets:
        values = {secret.name: secret.value.reveal() for secret in task.secrets}
        yield _secret(step_secret_name(name), values, job)


def _secret(name: str, content: Mapping[str, bytes], job: JsonObject) -> JsonObject:
    owner = {
        "apiVersion": job["apiVersion"],
        "kind": job["kind"],
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": {
            "name": name,
            "namespace": job["metadata"]["namespace"],
            "labels": job["metadata"]["labels"],
            "ownerReferences": [owner],
        },
        "data": {key: b64encode(value).decode() for key, value in content.items()},
    }


def _pod(task: AttemptTask, site: Site) -> JsonObject:
    step, latch = task.assignment.step, latch_of(task, site)
    pod: JsonObject = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostname": "step",
        "terminationGracePeriodSeconds": MOVER_SECONDS,
        "activeDeadlineSeconds": step.timeoutSeconds
        + 2 * MOVER_SECONDS
        + (latch.seconds if latch else 0),
        "securityContext": _pod_security(site),
        "initContainers": [
            _fetch(site),
            *([_latch(latch, site)] if latch else []),
            _collect(step, site, latch),
        ],
        "containers": [_main(task, site)],
        "volumes": list(_volumes(task)),
    }
    if task.assignment.sandbox is not None:
        pod["runtimeClassName"] = task.assignment.sandbox
    if task.assignment.placement is not None:
        pod |= pod_fields(task.assignment.placement)
    return pod | _pull_secrets(site)


def _pull_secrets(site: Site) -> JsonObject:
    names = [{"name": name} for name in site.pull_secrets]
    return {"imagePullSecrets": names} if names else {}


def _pod_security(site: Site) -> JsonObject:
    context: JsonObject = {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if site.user is not None:
        context |= {"runAsUser": site.user, "runAsGroup": 0}
    return context


_CONFINED: JsonObject = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}

_WITHOUT_MESH = {
    "sidecar.istio.io/inject": "false",
    "linkerd.io/inject": "disabled",
    "kuma.io/sidecar-injection": "disabled",
}
"""A mesh's proxy would outlive main, and give it a network."""
_UNMESHED = {"sidecar.istio.io/inject": "false", "kuma.io/sidecar-injection": "disabled"}
"""Newer meshes look at labels alone."""


def _fetch(site: Site) -> JsonObject:
    given = {"ANIMUS_LAUNCHER": LAUNCHER, "ANIMUS_SHARED": "1"}
    return _mover(FETCH, site, given)


def _latch(latch: Latch, site: Site) -> JsonObject:
    """Without the attempt's volume and token: it only asks who answers."""
    said = {
        "ANIMUS_PLACES": ",".join(latch.places),
        "ANIMUS_LATCH_SECONDS": str(latch.seconds),
        "ANIMUS_REPORT_MESSAGE": MESSAGE,
    }
    return _ours(LATCH, site) | {"env": _environment(said)}


def probe_pod(latch: Latch, site: Site, *, command: str) -> JsonObject:
    """Of one container, and for no attempt: with `latch` it succeeds where it reaches none of the
    places, with `reach` where it reaches each."""
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "activeDeadlineSeconds": 2 * latch.seconds,
        "securityContext": _pod_security(site),
        "containers": [_latch(latch, site) | {"args": [command]}],
        **_pull_secrets(site),
    }


def _collect(step: Step, site: Site, latch: Latch | None) -> JsonObject:
    request = {
        "outputs": [
            {"name": output.name, "path": output.path, "optional": output.optional}
            for output in step.outputs.artifacts
        ],
        "main_exit_code": None,
        "max_total_bytes": step.resources.amounts().storage,
        "log": None,
    }
    given = {
        "ANIMUS_COLLECT_AFTER": "SIGTERM",
        "ANIMUS_COLLECT_READY": READY,
        "ANIMUS_COLLECT_REQUEST": json.dumps(request, separators=(",", ":")),
    }
    if latch is None:
        return _mover(COLLECT, site, given) | {"restartPolicy": "Always"}
    mover = _mover(COLLECT, site, given | {"ANIMUS_PLACES": ",".join(latch.places)})
    return mover | {"restartPolicy": "Always", "env": [*mover["env"], _LABEL_AT_START]}


_LABEL_AT_START: JsonObject = {
    "name": "ANIMUS_EGRESS",
    "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{EGRESS}']"}},
}
"""Read by the kubelet whenever it starts the container. Until it says what main may have, collect
gives no sign to begin: that the api does not answer may have other reasons than a policy."""


def _mover(name: str, site: Site, given: dict[str, str]) -> JsonObject:
    variables = {
        "ANIMUS_ATTEMPT_DIR": _ATTEMPT,
        "ANIMUS_GATEWAY_URL": site.gateway_url,
        "ANIMUS_ATTEMPT_TOKEN_FILE": f"{_TOKENS}/{_TOKEN_KEY}",
        "ANIMUS_REPORT_MESSAGE": MESSAGE,
    } | given
    if site.store_address is not None:
        variables["ANIMUS_STORE_ADDRESS"] = site.store_address
    return _ours(name, site) | {
        "env": _environment(variables),
        "volumeMounts": [
            {"name": _GIVEN, "mountPath": _ATTEMPT},
            *(
                {"name": _MADE, "mountPath": f"{_ATTEMPT}/{part}", "subPath": part}
                for part in _WRITTEN
            ),
            {"name": _TOKEN, "mountPath": _TOKENS, "readOnly": True},
        ],
    }


def _ours(name: str, site: Site) -> JsonObject:
    return {
        "name": name,
        "image": site.step_image,
        "imagePullPolicy": site.image_pull_policy,
        "args": [name],
        "securityContext": _CONFINED,
        "resources": {"requests": _MOVER_REQUESTS, "limits": _MOVER_LIMITS},
        "terminationMessagePath": MESSAGE,
    }


def _main(task: AttemptTask, site: Site) -> JsonObject:
    step = task.assignment.step
    if not step.command:
        raise Uncommanded(step.name)
    named = {variable.name for variable in step.env}
    dropped = ",".join(name for name in _OF_THE_KUBELET if name not in named)
    launched = (
        f"{_PLACE}/{LAUNCHER}", "--seconds", str(step.timeoutSeconds),
        "--largest-file", str(step.resources.amounts().storage),
        "--grace", str(MAIN_GRACE), "--after", f"{_PLACE}/{READY}", "--drop", dropped, "--",
    )  # fmt: skip
    return {
        "name": MAIN,
        "image": step.image,
        "imagePullPolicy": site.image_pull_policy,
        "command": [*launched, *(_literally(word) for word in (*step.command, *step.args))],
        "workingDir": f"{_PLACE}/work",
        "env": _environment(_main_variables(task, site)),
        "securityContext": _CONFINED,
        "resources": _main_resources(step, site),
        "terminationMessagePath": MESSAGE,
        "volumeMounts": list(_main_mounts(task)),
    }


def _main_resources(step: Step, site: Site) -> JsonObject:
    """Requested is what is allowed: a step gets what its plan says, no more and no less."""
    amounts = step.resources.amounts()
    allowed = {"cpu": f"{amounts.millicores}m", "memory": str(amounts.memory)}
    if amounts.gpus:
        allowed[step.resources.gpuResource or site.gpu_resource] = str(amounts.gpus)
    return {"requests": allowed | {"ephemeral-storage": str(amounts.storage)}, "limits": allowed}


def _main_mounts(task: AttemptTask) -> Iterator[JsonObject]:
    for part in _READ:
        yield {"name": _GIVEN, "mountPath": f"{_PLACE}/{part}", "subPath": part, "readOnly": True}
    for part in _WRITTEN:
        yield {"name": _MADE, "mountPath": f"{_PLACE}/{part}", "subPath": part}
    yield {"name": _TMP, "mountPath": "/tmp"}
    if task.run_token is not None:
        yield {"name": _RUN_TOKEN, "mountPath": _TOKENS, "readOnly": True}
    if task.assignment.step.secrets:
        yield {"name": _SECRETS, "mountPath": SECRETS, "readOnly": True}


def _main_variables(task: AttemptTask, site: Site) -> dict[str, str]:
    variables = main_variables(task)
    if task.run_token is not None:
        variables |= {
            "ANIMUS_GATEWAY_URL": site.gateway_url,
            "ANIMUS_PROJECT_ID": task.order.project_id,
            "ANIMUS_RUN_TOKEN_FILE": f"{_TOKENS}/{_RUN_TOKEN_KEY}",
        }
        if site.store_address is not None:
            variables["ANIMUS_STORE_ADDRESS"] = site.store_address
    return variables


def _volumes(task: AttemptTask) -> Iterator[JsonObject]:
    """What main writes is bounded by its storage; what it reads is as large as it is."""
    storage = task.assignment.step.resources.amounts().storage
    name = job_name(task.order)
    yield {"name": _GIVEN, "emptyDir": {}}
    yield {"name": _MADE, "emptyDir": {"sizeLimit": str(storage)}}
    yield {"name": _TMP, "emptyDir": {"sizeLimit": str(storage)}}
    yield {"name": _TOKEN, "secret": {"secretName": name}}
    if task.run_token is not None:
        yield {"name": _RUN_TOKEN, "secret": {"secretName": run_secret_name(name)}}
    if task.assignment.step.secrets:
        told = {"secretName": step_secret_name(name), "defaultMode": _FOR_MAINS_GROUP}
        yield {"name": _SECRETS, "secret": told}


def _environment(variables: dict[str, str]) -> list[JsonObject]:
    return [{"name": name, "value": _literally(value)} for name, value in variables.items()]


def _literally(text: str) -> str:
    """Kubernetes puts variables in the place of `$(NAME)`, and takes `$$` for one `$`."""
    return text.replace("$", "$$")
