"""One open attempt, with the directory, sockets and token that an agent gives fetch and collect."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animus_sdk.step.attempts import AttemptContext

from tests.sdk.drivers import OpenAttempt
from tests.sdk.faulty_proxies import FaultyProxy, unix_forwarder, unix_proxy
from tests.sdk.platforms import CLUSTER, Finished, Platform

LIMIT = 10 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptPlace:
    """What the container of fetch and collect sees of the world."""

    root: Path
    run_id: str
    attempt: OpenAttempt
    claimed: Mapping[str, Any] = field(repr=False)

    @property
    def context(self) -> AttemptContext:
        return AttemptContext(
            directory=self.root / "attempt",
            api_socket=self.root / "api.sock",
            store_socket=self.root / "store.sock",
            token_file=self.root / "attempt-token",
        )

    @property
    def directory(self) -> Path:
        return self.context.directory

    @property
    def out(self) -> Path:
        return self.directory / "out"

    def run(self, command: str) -> Finished:
        """As the agent starts it, in a process that knows nothing else."""
        context = self.context
        done = subprocess.run(
            [sys.executable, "-m", "animus_sdk.step", command],
            env={
                "PYTHONWARNINGS": "error",
                "ANIMUS_ATTEMPT_DIR": str(context.directory),
                "ANIMUS_API_SOCKET": str(context.api_socket),
                "ANIMUS_STORE_SOCKET": str(context.store_socket),
                "ANIMUS_ATTEMPT_TOKEN_FILE": str(context.token_file),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Finished(code=done.returncode, out=done.stdout, err=done.stderr)

    def report(self, command: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.directory / f"{command}.json").read_text())
        return report

    def ask(
        self,
        *outputs: Mapping[str, object],
        exit_code: int | None = 0,
        limit: int = LIMIT,
        log: str | None = None,
    ) -> None:
        """The agent's request to collect."""
        request = {
            "outputs": [{"optional": False, **output} for output in outputs],
            "main_exit_code": exit_code,
            "max_total_bytes": limit,
            "log": {"path": log} if log else None,
        }
        (self.directory / "collect-request.json").write_text(json.dumps(request))


def open_place(platform: Platform, root: Path, run_id: str, step: str = "train") -> AttemptPlace:
    """Open and claim the next attempt of a running run's step."""
    attempt = platform.driver.open_attempt(platform.project_id, run_id, step)
    place = AttemptPlace(root=root, run_id=run_id, attempt=attempt, claimed=platform.claim(attempt))
    place.out.mkdir(parents=True)
    place.context.token_file.write_text(place.claimed["attempt_token"])
    return place


@contextmanager
def forwarded(platform: Platform, place: AttemptPlace) -> Iterator[None]:
    with (
        unix_forwarder(place.context.api_socket, platform.url),
        unix_forwarder(place.context.store_socket, platform.store_url),
    ):
        yield


@contextmanager
def proxied(platform: Platform, place: AttemptPlace) -> Iterator[tuple[FaultyProxy, FaultyProxy]]:
    """The api and the store behind proxies that fail as they are told."""
    with (
        unix_proxy(place.context.api_socket, platform.url) as api,
        unix_proxy(place.context.store_socket, platform.store_url) as store,
    ):
        yield api, store


def start_run(platform: Platform, request: Mapping[str, Any]) -> str:
    """A run of `engineer` that needs no approval, moved to where its first step may begin."""
    with platform.client() as client:
        run_id = client.runs.submit({"cluster": CLUSTER, **request})["id"]
    platform.driver.plan(platform.project_id, run_id)
    assert platform.driver.begin(platform.project_id, run_id) == "running"
    return run_id


def commit_all(folder: Path, message: str = "A change") -> None:
    """What is in `folder`, as a git repository with one more commit."""
    identity = ("-c", "user.name=engineer", "-c", "user.email=engineer@demo.invalid")
    commands: Sequence[Sequence[str]] = (
        ("init", "-q"),
        ("add", "."),
        (*identity, "commit", "-q", "-m", message),
    )
    for command in commands:
        subprocess.run(["git", *command], cwd=folder, check=True)
