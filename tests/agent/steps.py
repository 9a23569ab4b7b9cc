"""Steps for tests: a script in the demo image, with small limits unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from animus.domain.canonical import JsonObject
from tests.support.documents import explicit_step, output

UNTIL_GO = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)\n"
"""In a script: main waits here for `Bench.let_go_on`."""


def python_step(
    image: str,
    script: str,
    *,
    name: str = "main",
    outputs: Sequence[str | JsonObject] = (),
    env: Mapping[str, str] | None = None,
    resources: Mapping[str, str] | None = None,
    timeout: int = 60,
    **changes: Any,
) -> JsonObject:
    return explicit_step(
        name,
        image=image,
        command=["python3", "-c", script],
        args=[],
        outputs={
            "artifacts": [output(each) if isinstance(each, str) else each for each in outputs]
        },
        env=[{"name": key, "value": value} for key, value in (env or {}).items()],
        resources={
            "cpu": "1", "memory": "256Mi", "gpu": 0, "ephemeralStorage": "64Mi",
            **(resources or {}),
        },
        timeoutSeconds=timeout,
        **changes,
    )  # fmt: skip


def shell_step(image: str, script: str, **changes: Any) -> JsonObject:
    return python_step(image, "", **changes) | {"command": ["/bin/sh", "-c"], "args": [script]}
