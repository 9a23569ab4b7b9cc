"""One open attempt, with what an agent gives fetch and collect: a directory, a token, and either
sockets (beside a container engine) or addresses (in a pod)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animus_sdk.resources.sources import code_reference
from animus_sdk.source import build_source_pack
from animus_sdk.step.attempts import AttemptContext, read_attempt_context

from tests.sdk.drivers import OpenAttempt
from tests.sdk.faulty_proxies import FaultyProxy, unix_forwarder, unix_proxy
from tests.sdk.platforms import CLUSTER, Finished, Platform, pipeline, unique

LIMIT = 10 * 1024**2
PARAMETERS = {"seed": 7, "C": 1.0, "name": "Größe"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptPlace:
    """What the container of fetch and collect sees of the world."""

    root: Path
    run_id: str
    attempt: OpenAttempt
    claimed: Mapping[str, Any] = field(repr=False)

    @property
    def directory(self) -> Path:
        return self.root / "attempt"

    @property
    def api_socket(self) -> Path:
        return self.root / "api.sock"

    @property
    def store_socket(self) -> Path:
        return self.root / "store.sock"

    @property
    def token_file(self) -> Path:
        return self.root / "attempt-token"

    @property
    def environment(self) -> dict[str, str]:
        """Where the sockets are."""
        return self._said | {
            "ANIMUS_API_SOCKET": str(self.api_socket),
            "ANIMUS_STORE_SOCKET": str(self.store_socket),
        }

    def pod_environment(self, gateway: str, **more: str) -> dict[str, str]:
        """Where the network is."""
        return self._said | {"ANIMUS_GATEWAY_URL": gateway} | more

    @property
    def context(self) -> AttemptContext:
        return read_attempt_context(self.environment)

    @property
    def out(self) -> Path:
        return self.directory / "out"

    @property
    def _said(self) -> dict[str, str]:
        return {
            "ANIMUS_ATTEMPT_DIR": str(self.directory),
            "ANIMUS_ATTEMPT_TOKEN_FILE": str(self.token_file),
        }

    def run(self, command: str, environment: Mapping[str, str] | None = None) -> Finished:
        """As the agent starts it, in a process that knows nothing else."""
        process = self.start(command, environment or self.environment)
        out, err = process.communicate(timeout=60)
        return Finished(code=process.returncode, out=out, err=err)

    def start(self, command: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            step_command(command),
            env={"PYTHONWARNINGS": "error", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

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
        request = collect_request(*outputs, exit_code=exit_code, limit=limit, log=log)
        (self.directory / "collect-request.json").write_text(request)


def collect_request(
    *outputs: Mapping[str, object],
    exit_code: int | None = 0,
    limit: int = LIMIT,
    log: str | None = None,
) -> str:
    return json.dumps(
        {
            "outputs": [{"optional": False, **output} for output in outputs],
            "main_exit_code": exit_code,
            "max_total_bytes": limit,
            "log": {"path": log} if log else None,
        }
    )


def step_command(command: str) -> list[str]:
    return [sys.executable, "-m", "animus_sdk.step", command]


def open_place(platform: Platform, root: Path, run_id: str, step: str = "train") -> AttemptPlace:
    """Open and claim the next attempt of a running run's step."""
    attempt = platform.driver.open_attempt(platform.project_id, run_id, step)
    place = AttemptPlace(root=root, run_id=run_id, attempt=attempt, claimed=platform.claim(attempt))
    place.out.mkdir(parents=True)
    place.token_file.write_text(place.claimed["attempt_token"])
    return place


@contextmanager
def forwarded(platform: Platform, place: AttemptPlace) -> Iterator[None]:
    with (
        unix_forwarder(place.api_socket, platform.url),
        unix_forwarder(place.store_socket, platform.store_url),
    ):
        yield


@contextmanager
def proxied(platform: Platform, place: AttemptPlace) -> Iterator[tuple[FaultyProxy, FaultyProxy]]:
    """The api and the store behind proxies that fail as they are told."""
    with (
        unix_proxy(place.api_socket, platform.url) as api,
        unix_proxy(place.store_socket, platform.store_url) as store,
    ):
        yield api, store


def start_run(platform: Platform, request: Mapping[str, Any]) -> str:
    """A run of `engineer` that needs no approval, moved to where its first step may begin."""
    with platform.client() as client:
        run_id = client.runs.submit({"cluster": CLUSTER, **request})["id"]
    platform.driver.plan(platform.project_id, run_id)
    assert platform.driver.begin(platform.project_id, run_id) == "running"
    return run_id


def full_request(platform: Platform, folder: Path) -> dict[str, Any]:
    """Of a step with data, code and parameters."""
    data, code = folder / "data", folder / "project"
    (data / "sub").mkdir(parents=True)
    (data / "a.csv").write_text(unique("a"))
    (data / "sub" / "b.csv").write_text(unique("b"))
    code.mkdir()
    (code / "train.py").write_text("print(1)\n")
    (code / "run.sh").write_text("#!/bin/sh\n")
    (code / "run.sh").chmod(0o755)
    (code / "again.py").symlink_to("train.py")
    (code / unique("own")).touch()
    commit_all(code)
    pack = build_source_pack(code)
    with platform.client() as client:
        pushed = client.datasets.push(unique("cancer"), [data])
        client.sources.upload(pack)
    return {
        "pipeline": pipeline(),
        "datasets": {"cancer": {"digest": pushed.version["digest"]}},
        "code": code_reference(pack),
        "parameters": PARAMETERS,
    }


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
