"""Preview of a plan with 100 steps under 20 policies."""

from __future__ import annotations

from typing import Any

from deploy.local.accounts import Gateway
from tests.bench.figures import milliseconds, timed
from tests.bench.platform import IMAGE, Platform

STEPS = 100
POLICIES = 20
TIMES = 60
_RULES = (
    (
        "no-gpu-in-development",
        "plan.classification == 'development' && plan.totals.gpus > 0",
        "deny",
    ),
    ("small-steps", "plan.steps.all(s, s.millicores <= 64000)", "allow"),
    ("no-open-network", "plan.steps.exists(s, s.egress.exists(e, e.port == 22))", "deny"),
)


async def measure_preview(platform: Platform) -> dict[str, Any]:
    _publish_policies(platform)
    body = {"pipeline": _pipeline(), "parameters": {"lr": 0.1, "epochs": 10}}
    async with platform.client() as client:

        async def preview() -> None:
            await client.post("/runs:preview", body)

        await timed(preview, times=5, at_once=1)
        *durations, _ = await timed(preview, times=TIMES, at_once=1)
    figures = {
        "steps": STEPS,
        "policies": POLICIES + 1,
        "rules": POLICIES * len(_RULES) + 2,
        "p50_ms": milliseconds(durations, 50),
        "p95_ms": milliseconds(durations, 95),
    }
    return {"preview": figures}


def _pipeline() -> dict[str, Any]:
    """Ten waves of ten, each step after one of the wave before."""
    steps: dict[str, Any] = {}
    for number in range(STEPS):
        step: dict[str, Any] = {"run": f"python step.py {number}", "out": "result.json"}
        step["env"] = {"SEED": "7", "STEP": str(number)}
        if number >= 10:
            step["in"] = {"before": f"step-{number - 10:03}.result.json"}
        steps[f"step-{number:03}"] = step
    return {"apiVersion": "animus/v1", "pipeline": "wide", "image": IMAGE, "steps": steps}


def _publish_policies(platform: Platform) -> None:
    """In a project without production nobody else need confirm."""
    gateway = Gateway(platform.url, platform.accounts.admin)
    rules = [
        {"id": name, "when": when, "effect": effect, "reason": "bench"}
        for name, when, effect in _RULES
    ]
    document = {"schema": "animus.policy/v1", "rules": rules}
    base = f"/projects/{platform.project}/policies"
    try:
        for number in range(POLICIES):
            name = f"policy-{number:02}"
            gateway.post(base, {"name": name})
            gateway.post(f"{base}/{name}/versions", {"document": document})
            gateway.post(f"{base}/{name}/versions/1:publish", {"reason": "bench"})
    finally:
        gateway.close()
