"""Jobs for tests: hardened as steps are, in a namespace that admits nothing less."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from deploy.dev_cluster.clusters import Cluster

NAMESPACE = "restricted"
RESTRICTED = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {
        "name": NAMESPACE,
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    },
}
ANY_UID = 1_000_650_000
"""As OpenShift assigns them: known to no image."""


def new_name() -> str:
    return f"job-{uuid.uuid4().hex[:8]}"


def hardened_job(name: str, image: str, *, policy: str = "Never") -> dict[str, Any]:
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": policy,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"limits": {"cpu": "200m", "memory": "32Mi"}},
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": ANY_UID,
            "runAsGroup": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def apply(cluster: Cluster, manifest: dict[str, Any], *, scratch: Path) -> None:
    file = scratch / f"{manifest['metadata']['name']}.json"
    file.write_text(json.dumps(manifest))
    cluster.kubectl("apply", "--filename", str(file))


def apply_quota(cluster: Cluster, manifest: dict[str, Any], *, scratch: Path) -> None:
    """Apply it, and wait until it is in force."""
    apply(cluster, manifest, scratch=scratch)
    named = manifest["metadata"]
    quota = f"resourcequota/{named['name']}"
    wait_for(cluster, quota, "jsonpath={.status.hard}", namespace=named["namespace"])


def run_job(cluster: Cluster, image: str, *, scratch: Path) -> str:
    """Run a hardened Job to its end; what it printed."""
    name = new_name()
    apply(cluster, hardened_job(name, image), scratch=scratch)
    wait_for(cluster, f"job/{name}", "condition=Complete")
    return cluster.kubectl("logs", "--namespace", NAMESPACE, f"job/{name}")


def start_waiting_job(cluster: Cluster, image: str, *, scratch: Path) -> str:
    """Start a Job whose container runs until it is ended; its name."""
    name = new_name()
    apply(cluster, hardened_job(name, image), scratch=scratch)
    wait_for(cluster, f"job/{name}", "jsonpath={.status.ready}=1")
    return name


def wait_for(cluster: Cluster, what: str, condition: str, *, namespace: str = NAMESPACE) -> None:
    cluster.kubectl(
        *("wait", "--namespace", namespace, what, f"--for={condition}", "--timeout=100s")
    )


def pod_of(cluster: Cluster, job: str) -> dict[str, Any]:
    selector = f"batch.kubernetes.io/job-name={job}"
    told = cluster.kubectl(
        *("get", "pods", "--namespace", NAMESPACE, "--selector", selector, "--output", "json")
    )
    (pod,) = json.loads(told)["items"]
    found: dict[str, Any] = pod
    return found
