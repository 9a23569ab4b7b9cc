"""An engine that is not there, for what can be said of one without it."""

from __future__ import annotations

from typing import Any

from animus_sdk.local.engines import StepEngine


def podman(**changes: Any) -> StepEngine:
    return StepEngine(**{"kind": "podman", "version": "5.0", "command": ("podman",)} | changes)


def docker(**changes: Any) -> StepEngine:
    return podman(kind="docker", version="28.0", command=("docker",), **changes)
