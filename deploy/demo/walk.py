"""The walk: what an engineer and a reviewer do, through the command line they would use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.embedded.errors import StackError
from deploy.images.builds import BuiltImage
from deploy.local.accounts import Accounts

PROJECT_SOURCE = Path(__file__).parent / "project"
DATA = "data"
COMMIT_TIME = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2026-01-01T00:00:00Z")
"""The same files give the same commit, and so the same plan digest, each time."""
PARAMETERS = {"C": 1.0, "seed": 7, "test_size": 0.25}
PLAN_SECONDS = 60.0
RUN_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where the walk happens and with what."""

    url: str
    accounts: Accounts
    image: BuiltImage
    dataset: Path
    work: Path
    """An own directory for the demo's project, made anew."""
    temporal_ui: str | None


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Cli:
    """The `animus` command as one account: shown as a person would type it, read as JSON."""

    def __init__(self, scene: Scene, account: str, *, project: str | None = None) -> None:
        self._scene = scene
        self._account = account
        self._project = project

    def __call__(self, *arguments: str, shown: bool = True) -> Any:
        if shown:
            say(f"    {self._account}$ animus {' '.join(_brief(word) for word in arguments)}")
        done = self._run(*arguments, "--json")
        if done.returncode not in (0, 3):  # 3: waits for approval
            raise StackError(f"'animus {' '.join(arguments)}' failed: {_problem(done.stderr)}")
        return json.loads(done.stdout)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "ANIMUS_GATEWAY_URL": self._scene.url,
            "ANIMUS_AUTH_TOKEN": self._scene.accounts.token_of(self._account),
            "NO_COLOR": "1",
        }
        if self._project is not None:
            environment["ANIMUS_PROJECT"] = self._project
        return subprocess.run(
            [Path(sys.executable).parent / "animus", *arguments],
            env=environment,
            cwd=self._scene.work,
            capture_output=True,
            text=True,
            check=False,
        )


Artifacts = Mapping[tuple[str, str], str]
"""SHA-256 by step and name."""


def walk(scene: Scene) -> Artifacts:
    """From an empty project to registered artifacts. Raises `StackError` where anything fails."""
    admin = Cli(scene, "admin")
    say("==> create project")
    project = _create_project(admin)
    engineer, reviewer = (
        Cli(scene, name, project=project["id"]) for name in ("engineer", "reviewer")
    )
    say("==> create run")
    _prepare_project(scene)
    run = _submit(scene, engineer)
    say("==> dry-run")
    plan = _show_plan(engineer, run)
    say("==> userspace execution (data plane surface)")
    _approve(reviewer, run, plan)
    ended = _follow(engineer, run)
    return _show_result(scene, engineer, ended)


def _create_project(admin: Cli) -> dict[str, Any]:
    name = f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    project: dict[str, Any] = admin(
        "project", "create", name, "--member", "engineer=editor", "--member", "reviewer=reviewer"
    )
    say(f"    project {project['name']} ({project['id']})")
    return project


def _prepare_project(scene: Scene) -> None:
    """A folder with the pipeline and its code under git, as an engineer has one."""
    shutil.copytree(PROJECT_SOURCE, scene.work, dirs_exist_ok=True)
    pipeline = scene.work / "pipeline.yaml"
    pipeline.write_text(pipeline.read_text().replace("IMAGE", scene.image.reference))
    (scene.work / "environment-lock.json").write_text(json.dumps(_lock(scene.image)))
    _place_data(scene)
    identity = ("-c", "user.name=engineer", "-c", "user.email=engineer@demo.invalid")
    for command in (
        ("init", "-q"),
        ("add", "."),
        (*identity, "commit", "-q", "-m", "The breast-cancer pipeline"),
    ):
        subprocess.run(["git", *command], cwd=scene.work, env=os.environ | COMMIT_TIME, check=True)


def _place_data(scene: Scene) -> None:
    """Beside the code and not under git: data is known by its own digest."""
    data = scene.work / DATA
    data.mkdir()
    shutil.copyfile(scene.dataset, data / "breast_cancer.csv")
    (scene.work / ".gitignore").write_text(f"{DATA}/\n")


def _lock(image: BuiltImage) -> Mapping[str, Any]:
    ecosystems = {"deb": "deb", "wheel": "pypi"}
    locked = {
        "name": "demo",
        "repository": image.reference.partition("@")[0],
        "platform": image.platform,
        "manifest_digest": image.manifest_digest,
        "config_digest": image.config_digest,
    }
    packages = [
        {
            "ecosystem": ecosystems[package.kind],
            "name": package.name,
            "version": package.version,
            "hashes": [f"sha256:{package.sha256.removeprefix('sha256:')}"],
        }
        for package in image.packages
    ]
    return {"images": [locked], "packages": packages}


def _submit(scene: Scene, engineer: Cli) -> dict[str, Any]:
    arguments = _run_arguments(scene)
    preview = engineer("run", "preview", *arguments)
    missing = ", ".join(one["what"] for one in preview["missing"]) or "nothing"
    say(f"    preview: {preview['effect']}, plan {preview['plan_digest']}")
    say(f"    the server lacks: {missing}")
    submitted: dict[str, Any] = engineer(
        "run", "submit", *arguments, "--expect", preview["plan_digest"], "--reason", "first model"
    )
    say(f"    run {submitted['name']} ({submitted['id']})")
    return submitted


def _run_arguments(scene: Scene) -> list[str]:
    parameters = [f"{name}={json.dumps(value)}" for name, value in PARAMETERS.items()]
    flags = [word for parameter in parameters for word in ("-p", parameter)]
    return [
        "pipeline.yaml", "--production", "--data", f"cancer=./{DATA}",
        "--lock", "environment-lock.json", *flags,
    ]  # fmt: skip


def _show_plan(engineer: Cli, run: Mapping[str, Any]) -> dict[str, Any]:
    """The plan that the run's own workflow made and stored."""
    engineer("run", "wait", run["id"], "--for", "approval", "--timeout", str(PLAN_SECONDS))
    plan: dict[str, Any] = engineer("run", "plan", run["id"])
    body = plan["document"]["body"]
    say(f"    plan digest   {plan['plan_digest']}")
    say(f"    order         {' → '.join(step['spec']['name'] for step in body['steps'])}")
    say(f"    code          {body['code']['state']} at {body['code']['commit']}")
    for limitation in body["limitations"]:
        say(f"    limitation    {limitation['code']} {limitation.get('subject', '')}".rstrip())
    for gate in plan["document"]["gates"]:
        hours = gate["deadline_seconds"] // 3600
        say(f"    approval      {gate['quorum']} x {gate['role']} within {hours} h")
    return plan


def _approve(reviewer: Cli, run: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
    digest = plan["plan_digest"]
    shown: dict[str, Any] = reviewer("approvals", "show", run["id"], shown=False)
    (review,) = shown["reviews"]
    say(f"    review digest {review['review_digest']}")
    reviewer(
        "approve", run["id"], "--plan-digest", digest, "--review-digest", review["review_digest"],
        "--reason", "data, code and limits read",
    )  # fmt: skip


def _follow(engineer: Cli, run: Mapping[str, Any]) -> dict[str, Any]:
    """Say what each step does until the run has ended; it must end well."""
    said: dict[str, str] = {}
    give_up = time.monotonic() + RUN_SECONDS
    while time.monotonic() < give_up:
        shown: dict[str, Any] = engineer("run", "show", run["id"], shown=False)
        for step in shown["steps"]:
            if said.get(step["name"]) != step["state"]:
                said[step["name"]] = step["state"]
                say(f"    {step['name']:<10} {step['state']}")
        if shown["ended_at"] is not None:
            if shown["state"] != "succeeded":
                raise StackError(f"The run is {shown['state']}: {json.dumps(shown['steps'])}")
            return shown
        time.sleep(0.5)
    raise StackError(f"The run did not end within {RUN_SECONDS:.0f} s.")


def _show_result(scene: Scene, engineer: Cli, run: Mapping[str, Any]) -> Artifacts:
    gates = engineer("approvals", "show", run["id"])["gates"]
    decisions = [decision for gate in gates for decision in gate["decisions"]]
    artifacts = engineer("run", "artifacts", run["id"])["artifacts"]
    say("==> demo complete")
    say(f"    plan digest   {run['plan_digest']}")
    for decision in decisions:
        say(f"    {decision['verdict']:<13} {decision['principal']}: {decision['reason']}")
    for step in run["steps"]:
        _show_attempt(step["name"], step["attempts"][-1])
    for artifact in sorted(artifacts, key=lambda one: (one["step"], one["name"])):
        say(f"    artifact      {artifact['name']:<24} {artifact['sha256']}")
    metrics = _download_json(scene, engineer, artifacts, "metrics")
    say(f"    accuracy      {metrics['accuracy']:.4f} on {metrics['test_rows']} test rows")
    if scene.temporal_ui is not None:
        say(f"    workflow      {scene.temporal_ui}/namespaces/animus/workflows/{run['id']}")
    return {(one["step"], one["name"]): one["sha256"] for one in artifacts}


def _show_attempt(step: str, attempt: Mapping[str, Any]) -> None:
    usage = attempt["usage"]
    took = f"{usage['cpu_milliseconds'] or 0} ms cpu, {usage['peak_memory_bytes'] or 0} bytes"
    say(f"    {step:<13} ran under {attempt['posture']['runtime']}, took {took} at most")


def _download_json(
    scene: Scene, engineer: Cli, artifacts: Sequence[Mapping[str, Any]], name: str
) -> dict[str, Any]:
    artifact = next(one for one in artifacts if one["name"] == name)
    target = scene.work / f"{name}.downloaded"
    engineer("artifact", "download", artifact["id"], "--to", str(target))
    content: dict[str, Any] = json.loads(target.read_text())
    return content


def _brief(word: str) -> str:
    return word if len(word) <= 60 else f"{word[:57]}..."


def _problem(stderr: str) -> str:
    try:
        problem = json.loads(stderr)
        return f"{problem['detail']} ({problem['code']})"
    except (ValueError, KeyError, TypeError):
        return stderr.strip()[-2_000:]
