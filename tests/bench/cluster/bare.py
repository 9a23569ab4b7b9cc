"""Bare Jobs for comparison: made with the same client, and noticed by the same kind of watch."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from animus.adapters.kubernetes.clients import KubernetesClient
from animus.adapters.kubernetes.sightings import JobSighting
from animus.adapters.kubernetes.watching import Watcher

LABEL, VALUE = "animus-bench", "bare"
SELECTOR = f"{LABEL}={VALUE}"
WAIT = 5.0


def _container(name: str, image: str, command: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "Never",
        "command": command,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"limits": {"cpu": "1", "memory": "256Mi"}},
    }


def bare_job(namespace: str, image: str, command: list[str], *, phases: int) -> dict[str, Any]:
    """One container; or, with three phases, the same one before main, and one as its sidecar."""
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10_001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container("main", image, command)],
    }
    if phases > 1:
        ends = "import signal; signal.sigwait({signal.SIGTERM})"
        block = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}); "
        beside = _container("after", image, ["python3", "-c", block + ends])
        pod["initContainers"] = [
            _container("before", image, command),
            beside | {"restartPolicy": "Always"},
        ]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"bare-{uuid4().hex[:12]}",
            "namespace": namespace,
            "labels": {LABEL: VALUE},
        },
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


async def run_bare(client: KubernetesClient, watcher: Watcher, job: dict[str, Any]) -> float:
    """Seconds until it was created, ended and noticed."""
    name = job["metadata"]["name"]
    began = time.perf_counter()
    await client.create_job(job)
    while True:
        seen = watcher.look(name)
        if seen.job is not None and JobSighting(seen.job).has_ended:
            assert seen.job["status"].get("succeeded") == 1, seen.job["status"]
            watcher.forget(name)
            return time.perf_counter() - began
        await watcher.wait(name, within=WAIT)
