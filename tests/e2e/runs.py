"""Runs of one step in a real container, as a member of a project has them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

from animus.domain.runs import TERMINAL
from tests.e2e.installations import Installation
from tests.support.callers import CallRefused
from tests.support.documents import explicit_pipeline, explicit_step, output
from tests.support.waiting import eventually

RUN_SECONDS = 120.0
TRIES = 200
STARTS = "echo start >> /animus/out/starts"
"""A second start of main for the same attempt would show as a second line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class E2eRun:
    installation: Installation
    project: str
    """The project's path in the api."""
    id: str

    @property
    def path(self) -> str:
        return f"{self.project}/runs/{self.id}"

    async def look(self) -> dict[str, Any]:
        found: dict[str, Any] = await patiently(self.installation, self.path)
        return found

    async def until(self, what: str, *states: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        async def look() -> dict[str, Any] | None:
            found.update(await self.look())
            return found if found["state"] in states else None

        try:
            return await eventually(look, f"run {self.id} {what}", within=RUN_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {found}") from None

    async def ended(self) -> dict[str, Any]:
        return await self.until("ends", *TERMINAL)

    async def executing(self) -> None:
        """Until main runs: its container is there."""

        async def look() -> bool:
            return any(name.endswith("-main") for name in await containers_of(self))

        await eventually(look, f"main of run {self.id} runs", within=RUN_SECONDS)

    async def cancel(self) -> None:
        await self.installation.engineer.post(f"{self.path}:cancel", {"reason": "a test"})

    async def approve(self) -> None:
        gates = await self.installation.reviewer.get(f"{self.path}/gates")
        seen = {name: gates[0][name] for name in ("plan_digest", "review_digest")}
        said = {"verdict": "approve", "reason": "a test"} | seen
        await self.installation.reviewer.post(
            f"{self.project}/gates/{gates[0]['id']}/decisions", said
        )

    async def starts(self) -> str:
        """What main left in its output of how often it was started."""
        found = await self.installation.engineer.get(f"{self.project}/artifacts?run_id={self.id}")
        (artifact,) = [one for one in found["artifacts"] if one["name"] == "starts"]
        link = await self.installation.engineer.get(
            f"{self.project}/artifacts/{artifact['id']}/download"
        )
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(link["download_url"])
        return answer.text


async def submit(
    installation: Installation, project: str, *, seconds: float = 0.0, key: str
) -> E2eRun:
    """A run whose one step notes that it was started and then sleeps. Tried until answered."""
    sleeping = explicit_step(
        "train",
        image=installation.image,
        command=["sh", "-c"],
        args=[f"{STARTS} && sleep {seconds}"],
        outputs={"artifacts": [output("starts")]},
        resources={"cpu": "1", "memory": "256Mi", "gpu": 0, "ephemeralStorage": "256Mi"},
    )
    body = {"pipeline": explicit_pipeline(sleeping), "labels": {"key": key}}
    engineer = installation.engineer
    for _ in range(TRIES):
        try:
            answer = await engineer.http.post(
                f"/api/v1{project}/runs",
                json=body,
                headers={"Authorization": f"Bearer {engineer.token}", "Idempotency-Key": key},
            )
        except httpx.TransportError:
            await asyncio.sleep(0.2)
            continue
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            await asyncio.sleep(0.2)
            continue
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return E2eRun(installation=installation, project=project, id=answer.json()["id"])
    raise AssertionError("the api never answered")


async def patiently(installation: Installation, path: str) -> Any:
    """What the api says, asked again while something of it is down."""
    for _ in range(TRIES):
        try:
            return await installation.engineer.get(path)
        except (httpx.TransportError, CallRefused) as error:
            if isinstance(error, CallRefused) and error.status < 500:
                raise
            await asyncio.sleep(0.2)
    raise AssertionError(f"the api never answered {path}")


async def containers_of(run: E2eRun) -> list[str]:
    """Names of the run's containers that the engine knows, in whatever state."""
    listing = await asyncio.create_subprocess_exec(
        *run.installation.engine.command("ps", "--all", "--format={{.Names}}"),
        stdout=asyncio.subprocess.PIPE,
    )
    listed, _ = await listing.communicate()
    attempts = await run.installation.query(
        "SELECT id::text FROM attempts WHERE run_id = %s", run.id
    )
    return [name for name in listed.decode().split() if any(one in name for (one,) in attempts)]
