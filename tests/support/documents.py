"""Documents as people write them, with defaults: pipelines, locks, policies, code references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from animus.domain.canonical import JsonObject

DIGEST_A = "sha256:" + "a" * 64
DIGEST_B = "sha256:" + "b" * 64
DIGEST_C = "sha256:" + "c" * 64
REPOSITORY = "registry.example/trainer"
IMAGE = f"{REPOSITORY}@{DIGEST_A}"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def explicit_step(name: str = "train", **changes: Any) -> JsonObject:
    """A step in the explicit form, in which nothing is left out."""
    step: JsonObject = {
        "name": name,
        "image": IMAGE,
        "command": ["python"],
        "args": ["train.py"],
        "inputs": {"datasets": [], "artifacts": []},
        "outputs": {"artifacts": []},
        "env": [],
        "resources": {"cpu": "1", "memory": "1Gi", "gpu": 0, "ephemeralStorage": "1Gi"},
        "retryPolicy": {
            "maxAttempts": 1,
            "backoff": {
                "type": "exponential", "initialSeconds": 5, "maxSeconds": 300, "multiplier": 2,
            },
        },
        "timeoutSeconds": 3600,
        "egress": [],
        "secrets": [],
        "telemetry": False,
    }  # fmt: skip
    return step | changes


def output(name: str, **changes: Any) -> JsonObject:
    return {"name": name, "type": "file", "path": name} | changes


def explicit_pipeline(*steps: JsonObject, edges: Sequence[tuple[str, str]] = ()) -> JsonObject:
    return {
        "apiVersion": "animus/v1",
        "kind": "Pipeline",
        "specVersion": "1.0",
        "metadata": {"name": "demo", "labels": {}},
        "spec": {
            "steps": list(steps) or [explicit_step()],
            "dependencies": [{"from": before, "to": after} for before, after in edges],
        },
    }


def short_pipeline(**steps: JsonObject) -> JsonObject:
    """The short form; `steps` by name."""
    return {
        "apiVersion": "animus/v1",
        "pipeline": "demo",
        "image": IMAGE,
        "steps": steps or {"train": {"run": "python train.py"}},
    }


def environment(name: str = "demo") -> JsonObject:
    return {"name": name, "images": [{"name": "runtime", "repository": REPOSITORY}]}


def lock(**changes: Any) -> JsonObject:
    """The lock of `environment()`, in which the image of the pipelines above is."""
    image = {
        "name": "runtime",
        "repository": REPOSITORY,
        "platform": "linux/amd64",
        "manifest_digest": DIGEST_A,
    }
    packages = [{"ecosystem": "pypi", "name": "scikit-learn", "version": "1.7.2"}]
    return {"images": [image], "packages": packages} | changes


def code(**changes: Any) -> JsonObject:
    """A commit that nobody proved: its bytes are in the image."""
    named = {"repo_url": "https://git.example/team/model", "commit": COMMIT, "state": "claimed"}
    return named | changes


def rule(name: str, effect: str, *, when: str = "true", **changes: Any) -> JsonObject:
    return {"id": name, "when": when, "effect": effect, "reason": f"{name} says so."} | changes


def demand(**changes: Any) -> JsonObject:
    return {"role": "reviewer", "quorum": 1, "deadline": "3d"} | changes


def policy(*rules: JsonObject) -> JsonObject:
    listed = list(rules) or [rule("allowed", "allow")]
    return {"schema": "animus.policy/v1", "rules": listed}


def manifest(*files: tuple[str, str, int]) -> JsonObject:
    """Of (path, digest, size)."""
    listed = files or (("data.csv", DIGEST_B, 8),)
    return {
        "files": [{"path": path, "sha256": digest, "size": size} for path, digest, size in listed]
    }
