"""A plan as named items, part by part, so that two plans can be compared and counted. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from animus.domain.canonical import canonical_bytes, pointer_token
from animus.domain.code_refs import CodeRef
from animus.domain.environment_locks import EnvironmentLock
from animus.domain.manifests import FileEntry
from animus.domain.plans import PlanBody, PlanDocument, PlannedStep
from animus.domain.review_words import size_words
from animus.domain.verdicts import BUILTIN, Finding, GateRule, RuleName


class Part(StrEnum):
    """In the order in which people read them."""

    CODE = "code"
    DATA = "data"
    ENVIRONMENT = "environment"
    PARAMETERS = "parameters"
    STEPS = "steps"
    NETWORK = "network"
    SECRETS = "secrets"
    RESOURCES = "resources"
    EXECUTION = "execution"
    POLICY = "policy"
    LIMITATIONS = "limitations"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataContent:
    """What is known of a dataset version."""

    known_as: str
    """As `churn@4`; with several names where the project has the content under several."""
    files: int
    total_bytes: int
    entries: tuple[FileEntry, ...] | None = None
    """Only where they are to be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanContent:
    """A plan, with what is known of the content that it names by digest."""

    document: PlanDocument
    lock: EnvironmentLock | None = None
    data: Mapping[str, DataContent] = field(default_factory=dict)
    """By alias."""
    policies: Mapping[str, str] = field(default_factory=dict)
    """Names of policy versions by digest, such as `credit@3`."""


Items = dict[str, str]
_Pairs = Iterator[tuple[str, Any]]


def items_of(content: PlanContent) -> dict[Part, Items]:
    """Every part of the plan as names and texts; a name that comes again keeps all its texts.
    What is no part of any item is in no plan: a test changes every leaf of one."""
    body = content.document.body
    return {
        Part.CODE: _items(_code(body.code)),
        Part.DATA: _items(_data(body, content.data)),
        Part.ENVIRONMENT: _items(_environment(body, content.lock)),
        Part.PARAMETERS: _items(_leaves(body.parameters, "")),
        Part.STEPS: _of_steps(body, _step),
        Part.NETWORK: _of_steps(body, _network),
        Part.SECRETS: _of_steps(body, _secrets),
        Part.RESOURCES: _of_steps(body, _resources),
        Part.EXECUTION: _items(_execution(body)),
        Part.POLICY: _items(_policy(content.document, content.policies)),
        Part.LIMITATIONS: _items(_limitations(body)),
    }


def _items(pairs: _Pairs) -> Items:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if value is not None:
            found.setdefault(name, []).append(_text(value))
    return {name: "; ".join(texts) for name, texts in found.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical_bytes(value).decode()


def value_words(value: Any) -> str:
    """A text as it is, everything else as canonical JSON; so is a text that reads like that."""
    is_plain = isinstance(value, str) and not _reads_as_json(value)
    return str(value) if is_plain else canonical_bytes(value).decode()


def _reads_as_json(text: str) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _code(code: CodeRef | None) -> _Pairs:
    if code is None:
        return
    yield "repository", code.repo_url
    yield "commit", code.commit
    yield "directory", code.path or "."
    yield "object format", code.object_format
    yield "state", str(code.state)
    yield "source pack", code.pack_sha256
    for one in code.limitations:
        yield f"{one.code.replace('_', ' ')} {one.subject}", "outside the commit"


def _data(body: PlanBody, known: Mapping[str, DataContent]) -> _Pairs:
    """The versions first, then their files: of these there may be thousands."""
    for binding in body.datasets:
        content = known.get(binding.alias)
        if content is None:
            yield binding.alias, binding.digest
        else:
            yield binding.alias, f"{content.known_as}, {binding.digest}"
            yield f"{binding.alias}: files", content.files
            yield f"{binding.alias}: bytes", content.total_bytes
    for binding in body.datasets:
        content = known.get(binding.alias)
        for entry in (content.entries if content is not None else None) or ():
            yield f"{binding.alias}/{entry.path}", f"{size_words(entry.size)}, {entry.sha256}"


def _environment(body: PlanBody, lock: EnvironmentLock | None) -> _Pairs:
    yield "lock", body.environment_lock
    if lock is None:
        return
    for image in lock.images:
        yield f"image {image.name}", f"{image.repository}@{image.manifest_digest}"
    for package in lock.packages:
        hashes = f" ({', '.join(package.hashes)})" if package.hashes else ""
        yield f"{package.ecosystem} {package.name}", package.version + hashes


def _leaves(parameters: Mapping[str, Any], above: str) -> _Pairs:
    """Nested objects by their paths, as in JSON pointers; a list is one value."""
    for name, value in parameters.items():
        path = above + pointer_token(name)
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}/")
        else:
            yield path, value_words(value)


def _of_steps(body: PlanBody, read: Callable[[PlannedStep], _Pairs]) -> Items:
    return _items(
        (f"{planned.name}: {name}", value)
        for planned in body.steps
        for name, value in read(planned)
    )


def _step(planned: PlannedStep) -> _Pairs:
    step = planned.spec
    yield "after", ", ".join(planned.after) or None
    yield "image", step.image
    yield "command", [*step.command]
    if step.args:
        yield "args", [*step.args]
    for dataset in step.inputs.datasets:
        yield f"in {dataset.name}", f"data {dataset.datasetRef}"
    for taken in step.inputs.artifacts:
        yield f"in {taken.name}", f"{taken.artifact} of {taken.fromStep}"
    for output in step.outputs.artifacts:
        yield f"out {output.name}", output.content()
    for variable in step.env:
        yield f"env {variable.name}", variable.value


def _network(planned: PlannedStep) -> _Pairs:
    for rule in planned.spec.egress:
        yield f"{rule.host}:{rule.port}", "may be reached"
    if planned.spec.telemetry:
        yield "telemetry", "reaches the api"


def _secrets(planned: PlannedStep) -> _Pairs:
    for secret in planned.spec.secrets:
        yield secret.name, secret.secretRef


def _resources(planned: PlannedStep) -> _Pairs:
    yield from planned.spec.resources.content().items()
    yield "timeoutSeconds", planned.spec.timeoutSeconds
    yield "retries", planned.spec.retryPolicy.content()


def _execution(body: PlanBody) -> _Pairs:
    yield "pipeline", body.pipeline
    yield "classification", str(body.classification)
    yield "executor", str(body.execution.executor)
    yield "runtime", body.execution.runtime
    if body.placement is not None:
        yield "placement", body.placement.content()


def _policy(document: PlanDocument, names: Mapping[str, str]) -> _Pairs:
    yield "verdict", str(document.verdict.effect)
    for digest in document.policies:
        name, _, version = names.get(digest, digest).partition("@")
        yield f"policy {name}", version or "in force"
    for finding in document.verdict.findings:
        yield f"rule {_rule(finding, names)}", f"{finding.effect}: {finding.reason}"
    for gate in document.gates:
        yield f"gate {gate.name}", _gate(gate, names)
    for code in document.verdict.accepted:
        yield f"accepted {code}", "by a policy"


def _rule(finding: Finding | RuleName, names: Mapping[str, str]) -> str:
    if finding.policy == BUILTIN:
        return f"{BUILTIN}/{finding.rule}"
    return f"{names.get(finding.policy, finding.policy).partition('@')[0]}/{finding.rule}"


def _gate(gate: GateRule, names: Mapping[str, str]) -> str:
    beside = f", or {', '.join(gate.service_accounts)}" if gate.service_accounts else ""
    rules = ", ".join(_rule(one, names) for one in gate.demanded_by)
    return (
        f"{gate.quorum} by role {gate.role}{beside}, within {gate.deadline_seconds} s,"
        f" demanded by {rules}"
    )


def _limitations(body: PlanBody) -> _Pairs:
    for one in body.limitations:
        yield " ".join(filter(None, (str(one.code), one.subject))), "recorded"
