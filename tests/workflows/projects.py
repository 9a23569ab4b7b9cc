"""A project as its members use it through the api, and the waiting for what its runs become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from temporalio.client import WorkflowHandle

from animus.domain.ids import ProjectId, RunId
from animus.domain.runs import TERMINAL
from tests.support.callers import Caller
from tests.support.documents import (
    demand,
    explicit_pipeline,
    explicit_step,
    output,
    policy,
    rule,
)
from tests.support.waiting import PATIENCE, eventually
from tests.workflows.canaries import CANARY_LABEL, CANARY_PARAMETER, CANARY_REASON
from tests.workflows.machines import Act
from tests.workflows.meddling import Meddling
from tests.workflows.platforms import CLUSTER, REVIEWERS, Platform

Look = dict[str, Any]
"""A run, a gate or a step as the api shows it."""


def step(name: str = "train", *, attempts: int = 1, pause: int = 0, **changes: Any) -> Look:
    """A step that gives a model, is tried `attempts` times, and pauses for seconds between."""
    backoff = {
        "type": "exponential", "initialSeconds": pause, "maxSeconds": 300, "multiplier": 2,
    }  # fmt: skip
    said = {
        "retryPolicy": {"maxAttempts": attempts, "backoff": backoff},
        "outputs": {"artifacts": [output("model")]},
    }
    return explicit_step(name, **(said | changes))


def after(name: str, before: str, **changes: Any) -> Look:
    """A step that reads the model of another."""
    wanted = {"name": "model", "fromStep": before, "artifact": "model"}
    return step(name, inputs={"datasets": [], "artifacts": [wanted]}, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    platform: Platform
    id: str
    name: str
    is_gated: bool = False
    """Whether every run needs an approval."""

    @classmethod
    async def create(cls, platform: Platform, *rules: Look) -> Project:
        """With the default policy, and one more of these rules if there are any."""
        name = f"p{uuid4().hex[:12]}"
        members = {"engineer": ["editor"]} | {one: ["reviewer"] for one in REVIEWERS}
        made = await platform.admin.post(
            "/projects", {"name": name, "allows_production": False, "members": members}
        )
        gated = any(one["effect"] == "require_approval" for one in rules)
        project = cls(platform=platform, id=made["id"], name=name, is_gated=gated)
        if rules:
            await platform.admin.post(f"{project.path}/policies", {"name": "gated"})
            await project.publish(*rules)
        return project

    @classmethod
    async def gated(cls, platform: Platform, **changes: Any) -> Project:
        """Every run needs an approval; `changes` are of what is demanded."""
        return await cls.create(platform, approval("reviewed", **changes))

    @property
    def path(self) -> str:
        return f"/projects/{self.id}"

    @property
    def meddling(self) -> Meddling:
        return self.platform.control.activities.of(self.id)

    def ids(self, run_id: str) -> tuple[ProjectId, RunId]:
        return ProjectId(UUID(self.id)), RunId(UUID(run_id))

    def script(self, **steps: Act | Sequence[Act]) -> None:
        self.platform.machine.script(self.id, **steps)

    def workflow(self, run_id: str) -> WorkflowHandle[Any, Any]:
        return self.platform.temporal.get_workflow_handle(run_id)

    async def limit(self, **limits: int | str) -> Look:
        """Set the whole quota, as the platform's administrator."""
        path = f"{self.path}/quota"
        revision = (await self.platform.admin.get(path))["revision"]
        body = {"limits": limits, "revision": revision, "reason": "test"}
        view: Look = await self.platform.admin.post(f"{path}:set", body)
        return view

    async def queued(self, run_id: str, reason: str = "quota_exceeded") -> Look:
        return await self.until(run_id, lambda run: run["waiting_for"] == reason, reason)

    async def publish(self, *rules: Look) -> None:
        """A version of the project's own policy, put in force in the place of the one before."""
        policies = f"{self.path}/policies/gated"
        version = await self.platform.admin.post(
            f"{policies}/versions", {"document": policy(*rules)}
        )
        await self.platform.admin.post(f"{policies}/versions/{version['version']}:publish")

    async def submit(
        self, *steps: Look, edges: Sequence[tuple[str, str]] = (), **changes: Any
    ) -> str:
        """The id of a new run; private words are everywhere where they may stand."""
        pipeline = explicit_pipeline(*(steps or (step(),)), edges=edges)
        body = {
            "pipeline": pipeline,
            "cluster": CLUSTER,
            "parameters": {"secret": CANARY_PARAMETER},
            "labels": {"team": CANARY_LABEL},
            "reason": CANARY_REASON,
        }
        made = await self.platform.engineer.post(f"{self.path}/runs", body | changes)
        return str(made["id"])

    async def look(self, run_id: str) -> Look:
        found: Look = await self.platform.engineer.get(f"{self.path}/runs/{run_id}")
        return found

    async def until(
        self, run_id: str, is_so: Callable[[Look], bool], what: str, *, within: float = PATIENCE
    ) -> Look:
        async def look() -> Look | None:
            found = await self.look(run_id)
            return found if is_so(found) else None

        return await eventually(look, f"run {run_id}: {what}", within=within)

    async def state(self, run_id: str, state: str, *, within: float = PATIENCE) -> Look:
        return await self.until(run_id, lambda run: run["state"] == state, state, within=within)

    async def ended(self, run_id: str, *, within: float = PATIENCE) -> Look:
        return await self.until(run_id, lambda run: run["state"] in TERMINAL, "end", within=within)

    async def executing(self, run_id: str, *names: str) -> None:
        """Until the mains of these steps run, and no others."""

        async def do_run() -> bool:
            return sorted(self.platform.machine.running(run_id)) == sorted(names)

        await eventually(do_run, f"run {run_id} executes {names}")

    async def gate(self, run_id: str, name: str = "", *, generation: int = 1) -> Look:
        """A gate, once it is there: the only one of its generation, or the one of this name."""

        async def look() -> Look | None:
            found = await self.platform.engineer.get(f"{self.path}/runs/{run_id}/gates")
            chosen = [
                one
                for one in found
                if one["generation"] == generation and name in ("", one["name"])
            ]
            return chosen[0] if chosen else None

        return await eventually(look, f"run {run_id} has gate {name} of generation {generation}")

    async def open_gates(self, run_id: str) -> list[Look]:
        found = await self.platform.engineer.get(f"{self.path}/runs/{run_id}/gates")
        return [gate for gate in found if gate["closing"] is None]

    async def decide(
        self, gate: Look, verdict: str = "approve", *, by: Caller | None = None
    ) -> Look:
        caller = by or self.platform.persons["reviewer"]
        decided: Look = await caller.post(
            f"{self.path}/gates/{gate['id']}/decisions",
            {
                "verdict": verdict, "plan_digest": gate["plan_digest"],
                "review_digest": gate["review_digest"], "reason": CANARY_REASON,
            },
        )  # fmt: skip
        return decided

    async def withdraw(self, decision: Look, *, by: Caller | None = None) -> Look:
        caller = by or self.platform.persons["reviewer"]
        withdrawn: Look = await caller.post(
            f"{self.path}/decisions/{decision['id']}/withdrawal", {"reason": CANARY_REASON}
        )
        return withdrawn

    async def review(self, gate: Look) -> Look:
        found: Look = await self.platform.engineer.get(f"{self.path}/gates/{gate['id']}/review")
        return found

    async def approve(self, run_id: str, *, generation: int = 1) -> None:
        await self.decide(await self.gate(run_id, generation=generation))

    async def cancel(self, run_id: str) -> None:
        await self.platform.engineer.post(
            f"{self.path}/runs/{run_id}:cancel", {"reason": CANARY_REASON}
        )


def approval(name: str, **changes: Any) -> Look:
    """A rule that demands an approval of every run."""
    return rule(name, "require_approval", approval=demand(**changes))
