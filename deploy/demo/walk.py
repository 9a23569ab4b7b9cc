"""The walk: what an engineer and a reviewer do, through the command line they would use.

Twice: the second time with another parameter and a new version of the data, so that the reviewer
reads a difference.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from deploy.demo.projects import DATA, LOCK, PIPELINE, prepare_project, withdraw_patients
from deploy.demo.scenes import Cli, Scene, say
from deploy.embedded.errors import StackError

PARAMETERS = {"C": 1.0, "seed": 7, "test_size": 0.25}
CHANGED_C = 0.3
WITHDRAWN = 12
PLAN_SECONDS = 60.0
RUN_SECONDS = 600.0
_BOUND = f"cancer=./{DATA}"

Artifacts = Mapping[tuple[str, str], str]
"""SHA-256 by step and name."""


def walk(scene: Scene) -> tuple[Artifacts, Artifacts]:
    """From an empty project to the artifacts of two runs. Raises `StackError` where anything
    fails."""
    admin = Cli(scene, "admin")
    say("==> create project")
    project = _create_project(admin)
    engineer, reviewer = (
        Cli(scene, name, project=project["id"]) for name in ("engineer", "reviewer")
    )
    first = _first_run(scene, engineer, reviewer)
    second = _second_run(scene, engineer, reviewer)
    say("==> demo complete")
    say("    the first run")
    made = _show_result(scene, engineer, first)
    say("    the second run")
    return made, _show_result(scene, engineer, second)


def _first_run(scene: Scene, engineer: Cli, reviewer: Cli) -> dict[str, Any]:
    say("==> create run")
    prepare_project(scene)
    run = _submit(engineer, _run_arguments(), reason="first model")
    say("==> dry-run")
    plan = _show_plan(engineer, run)
    say("==> userspace execution (data plane surface)")
    _approve(reviewer, run, plan, reason="data, code and limits read")
    return _follow(engineer, run)


def _second_run(scene: Scene, engineer: Cli, reviewer: Cli) -> dict[str, Any]:
    say(f"==> second run: {WITHDRAWN} patients withdrew their data, and C is {CHANGED_C}")
    withdraw_patients(scene.work, WITHDRAWN)
    changed = ["@last", "--data", _BOUND, "-p", f"C={json.dumps(CHANGED_C)}"]
    run = _submit(engineer, changed, reason=f"{WITHDRAWN} patients withdrew their data")
    engineer("run", "wait", run["id"], "--for", "approval", "--timeout", str(PLAN_SECONDS))
    say("==> what the reviewer reads")
    say(reviewer.page("approvals", "show", run["name"]).rstrip("\n"))
    _check_difference(reviewer, run)
    say("==> userspace execution (data plane surface)")
    plan = engineer("run", "plan", run["id"], shown=False)
    _approve(reviewer, run, plan, reason="only C and the withdrawn rows differ")
    return _follow(engineer, run)


def _create_project(admin: Cli) -> dict[str, Any]:
    name = f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    project: dict[str, Any] = admin(
        "project", "create", name, "--member", "engineer=editor", "--member", "reviewer=reviewer"
    )
    say(f"    project {project['name']} ({project['id']})")
    return project


def _submit(engineer: Cli, arguments: Sequence[str], *, reason: str) -> dict[str, Any]:
    preview = engineer("run", "preview", *arguments)
    missing = ", ".join(one["what"] for one in preview["missing"]) or "nothing"
    say(f"    preview: {preview['effect']}, plan {preview['plan_digest']}")
    say(f"    the server lacks: {missing}")
    submitted: dict[str, Any] = engineer(
        "run", "submit", *arguments, "--expect", preview["plan_digest"], "--reason", reason
    )
    say(f"    run {submitted['name']} ({submitted['id']})")
    return submitted


def _run_arguments() -> list[str]:
    parameters = [f"{name}={json.dumps(value)}" for name, value in PARAMETERS.items()]
    flags = [word for parameter in parameters for word in ("-p", parameter)]
    return [PIPELINE, "--production", "--data", _BOUND, "--lock", LOCK, *flags]


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


def _check_difference(reviewer: Cli, run: Mapping[str, Any]) -> None:
    """The page names what was changed, and nothing else."""
    sections = _review(reviewer, run)["document"]["sections"]
    (difference,) = (one for one in sections if one["name"] == "difference")
    named = {item["label"] for listing in difference["listings"] for item in listing["shown"]}
    if named != {"C", "cancer", "cancer: bytes", "cancer/breast_cancer.csv"}:
        raise StackError(f"The reviewer was told another difference: {', '.join(sorted(named))}")


def _approve(
    reviewer: Cli, run: Mapping[str, Any], plan: Mapping[str, Any], *, reason: str
) -> None:
    digest = plan["plan_digest"]
    review = _review(reviewer, run)
    say(f"    review digest {review['review_digest']}")
    reviewer(
        "approve", run["id"], "--plan-digest", digest, "--review-digest", review["review_digest"],
        "--reason", reason,
    )  # fmt: skip


def _review(reviewer: Cli, run: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = reviewer("approvals", "show", run["id"], shown=False)
    reviews: list[dict[str, Any]] = shown["reviews"]
    (review,) = reviews
    return review


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
    gates = engineer("approvals", "show", run["id"], shown=False)["gates"]
    decisions = [decision for gate in gates for decision in gate["decisions"]]
    artifacts = engineer("run", "artifacts", run["name"])["artifacts"]
    say(f"    plan digest   {run['plan_digest']}")
    for decision in decisions:
        say(f"    {decision['verdict']:<13} {decision['principal']}: {decision['reason']}")
    for step in run["steps"]:
        _show_attempt(step["name"], step["attempts"][-1])
    for artifact in sorted(artifacts, key=lambda one: (one["step"], one["name"])):
        say(f"    artifact      {artifact['name']:<24} {artifact['sha256']}")
    metrics = _download_json(scene, engineer, artifacts, "metrics")
    judged = f"on {metrics['test_rows']} test rows, C={run['spec']['parameters']['C']}"
    say(f"    accuracy      {metrics['accuracy']:.4f} {judged}")
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
    target = scene.work / f"{artifact['id']}.json"
    engineer("artifact", "download", artifact["id"], "--to", str(target), shown=False)
    content: dict[str, Any] = json.loads(target.read_text())
    return content
