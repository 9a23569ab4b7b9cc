"""A real platform for the SDK's tests: api, PostgreSQL and object store, people and a project."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from animus_sdk import Client
from animus_sdk.settings import Settings
from animus_sdk.wire.retries import RetryPolicy

from deploy.embedded.stack import Stack
from tests.sdk.drivers import Driver, OpenAttempt
from tests.support.waiting import PATIENCE

CHECKOUT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).parent / "animus"
"""The command line of this environment."""
CLUSTER = "local"
IMAGE = "localhost/animus-demo@sha256:" + "a" * 64
QUICK = RetryPolicy(total_seconds=20.0, first_delay=0.01, longest_delay=0.05)
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command line that has ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    stack: Stack = field(repr=False)
    driver: Driver = field(repr=False)
    project_id: str
    project: str
    tokens: Mapping[str, str] = field(repr=False)
    """By account: admin, engineer, reviewer, agent."""

    @property
    def url(self) -> str:
        return self.stack.site.addresses.api

    @property
    def store_url(self) -> str:
        return self.stack.site.addresses.object_store_public

    def client(
        self, who: str = "engineer", *, url: str | None = None, project: str | None = None
    ) -> Client:
        settings = Settings(
            gateway_url=url or self.url,
            gateway_from="the test",
            auth_token=self.tokens[who],
            token_from="the test",
            project=project or self.project_id,
        )
        return Client(settings=settings, retries=QUICK)

    def environment(self, home: Path, *, who: str | None = "engineer") -> dict[str, str]:
        """For a command line that knows nothing but what a test gives it."""
        said = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "ANIMUS_GATEWAY_URL": self.url,
            "ANIMUS_PROJECT": self.project,
            "PYTHONWARNINGS": "error",
        }
        if who is not None:
            said["ANIMUS_AUTH_TOKEN"] = self.tokens[who]
        return said

    def claim(self, attempt: OpenAttempt) -> dict[str, Any]:
        """As the agent of the cluster."""
        answer = httpx.post(
            f"{self.url}/api/v1/agent/attempts:claim",
            json=attempt.claim_body(),
            headers={"Authorization": f"Bearer {self.tokens['agent']}"},
            timeout=PATIENCE,
        )
        answer.raise_for_status()
        claimed: dict[str, Any] = answer.json()
        return claimed


def unique(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}-{next(_numbers)}"


def pipeline(*, telemetry: bool = False, data: bool = True, **step: object) -> dict[str, Any]:
    train: dict[str, object] = {"run": "python train.py", "out": "model", **step}
    if telemetry:
        train["telemetry"] = True
    if data:
        train["data"] = "cancer"
    return {
        "apiVersion": "animus/v1",
        "pipeline": unique("breast-cancer"),
        "image": IMAGE,
        "steps": {"train": train},
    }


def cli(
    *arguments: str,
    environment: Mapping[str, str],
    folder: Path,
    stdin: str = "",
    timeout: float = 60.0,
    program: Path = PROGRAM,
) -> Finished:
    """The command line through its entry point, as a process without a terminal."""
    done = subprocess.run(
        [str(program), *arguments],
        env=dict(environment),
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Finished(code=done.returncode, out=done.stdout, err=done.stderr)
