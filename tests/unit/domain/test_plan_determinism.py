"""The same work has the same plan bytes and the same digest, however it was written down."""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from animus.domain.canonical import JsonObject
from animus.domain.code_refs import CodeRef, in_order
from animus.domain.digests import format_digest
from animus.domain.environment_locks import EnvironmentLock, canonical_lock, lock_digest
from animus.domain.pipeline_expansion import expand_pipeline
from animus.domain.plans import ExecutionPlan, Facts, draft, seal
from animus.domain.policy_evaluation import Answer, Judgement, RuleAnswer, evaluate
from animus.domain.run_specs import (
    DatasetBinding,
    RunSpec,
    pipeline_bytes,
    pipeline_digest,
)
from tests.support.documents import DIGEST_A, DIGEST_B, code, lock, output, rule
from tests.support.plans import KUBERNETES, in_force

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
FEW = st.lists(NAMES, unique=True, max_size=3)


@st.composite
def works(draw: st.DrawFn) -> JsonObject:
    """All that a plan is made of, in some order of declaration."""
    names = draw(st.lists(NAMES, unique=True, min_size=1, max_size=5))
    edges = [
        {"from": before, "to": after}
        for index, after in enumerate(names)
        for before in names[:index]
        if draw(st.booleans())
    ]
    steps = [_step(draw, name, [e["from"] for e in edges if e["to"] == name]) for name in names]
    return {
        "pipeline": {
            "apiVersion": "animus/v1",
            "kind": "Pipeline",
            "specVersion": "1.0",
            "metadata": {"name": "demo", "labels": {name: name for name in draw(FEW)}},
            "spec": {"steps": steps, "dependencies": edges},
        },
        "lock": lock(
            images=[lock()["images"][0] | {"name": name} for name in ("x", "y", "z")],
            packages=[
                {"ecosystem": "pypi", "name": name, "version": "1", "hashes": [DIGEST_A, DIGEST_B]}
                for name in draw(FEW)
            ],
        ),
        "datasets": [
            {"alias": alias, "digest": DIGEST_A}
            for alias in {i["datasetRef"] for step in steps for i in step["inputs"]["datasets"]}
        ],
        "code": code(limitations=[{"code": "submodule", "subject": name} for name in draw(FEW)]),
        "parameters": {name: draw(st.integers(0, 9)) for name in draw(FEW)},
        "policies": draw(st.lists(_POLICIES, max_size=3)),
    }


def _step(draw: st.DrawFn, name: str, before: list[str]) -> JsonObject:
    return {
        "name": name,
        "image": f"registry.example/trainer@{DIGEST_A}",
        "command": draw(st.lists(NAMES, max_size=3)),
        "args": draw(st.lists(NAMES, max_size=3)),
        "inputs": {
            "datasets": [{"name": f"d{n}", "datasetRef": n} for n in draw(FEW)],
            "artifacts": [{"name": f"a{n}", "fromStep": n, "artifact": "m"} for n in before],
        },
        "outputs": {"artifacts": [output("m"), *(output(f"o{n}") for n in draw(FEW))]},
        "env": [{"name": n, "value": n} for n in draw(FEW)],
        "resources": {"cpu": "1", "memory": "1Gi", "gpu": 0, "ephemeralStorage": "1Gi"},
        "retryPolicy": {
            "maxAttempts": 1,
            "backoff": {"type": "fixed", "initialSeconds": 0, "maxSeconds": 0, "multiplier": 1},
        },
        "timeoutSeconds": 60,
        "egress": [{"host": n, "port": draw(st.integers(1, 3))} for n in draw(FEW)],
        "secrets": [{"name": n, "secretRef": n} for n in draw(FEW)],
        "telemetry": draw(st.booleans()),
    }


_DEMANDS = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["reviewer", "admin"]),
        "quorum": st.integers(1, 3),
        "deadline": st.integers(60, 90),
        "service_accounts": FEW,
    }
)
_RULES = st.builds(
    lambda effect, approval, accept: {
        "effect": effect,
        **({"approval": approval} if effect == "require_approval" else {}),
        "accept": [] if effect == "deny" else accept,
    },
    st.sampled_from(["allow", "require_approval", "deny"]),
    _DEMANDS,
    st.lists(st.sampled_from(["dataset_missing", "code_missing"]), max_size=2),
)
_POLICIES = st.lists(st.tuples(_RULES, st.sampled_from(Answer)), min_size=1, max_size=4)


def plan_of(work: JsonObject, *, shuffled_by: random.Random | None = None) -> ExecutionPlan:
    """The plan of a work; the same work declared in another order, where somebody shuffles it."""
    said = deepcopy(work)
    if shuffled_by is not None:
        _shuffle(said, shuffled_by)
    pipeline = expand_pipeline(said["pipeline"])
    locked = EnvironmentLock.model_validate(said["lock"])
    spec = RunSpec(
        classification="production",
        pipeline_digest=format_digest(pipeline_digest(pipeline_bytes(pipeline))),
        datasets=tuple(DatasetBinding.model_validate(one) for one in said["datasets"]),
        code=in_order(CodeRef.model_validate(said["code"])),
        environment_lock=format_digest(lock_digest(canonical_lock(locked))),
        parameters=said["parameters"],
    )  # fmt: skip
    body = draft(spec, Facts(pipeline=pipeline, lock=locked, execution=KUBERNETES))
    judgements = [_judgement(number, rules) for number, rules in said["policies"]]
    verdict = evaluate(body, locked, judgements)
    return seal(body, verdict, tuple(judgement.policy.digest for judgement in judgements))


def _judgement(number: int, rules: list[tuple[JsonObject, Answer, int]]) -> Judgement:
    written = [rule(f"r{at}", **said) for said, _, at in rules]
    policy = in_force(*written, name=f"p{number}")
    answers = {f"r{at}": RuleAnswer(answer=answer) for _, answer, at in rules}
    return Judgement(policy=policy, answers=tuple(answers[one.id] for one in policy.document.rules))


def _number(work: JsonObject) -> JsonObject:
    """Rules and policies get names that stay theirs when they are shuffled."""
    policies = [
        (number, [(said, answer, at) for at, (said, answer) in enumerate(rules)])
        for number, rules in enumerate(work["policies"])
    ]
    return work | {"policies": policies}


def _shuffle(value: Any, shuffler: random.Random) -> None:
    """Every list but a command line, and the keys of every map."""
    if isinstance(value, dict):
        items = list(value.items())
        shuffler.shuffle(items)
        value.clear()
        value.update(items)
        for key, item in items:
            if key not in ("command", "args"):
                _shuffle(item, shuffler)
    elif isinstance(value, list | tuple):
        for item in value:
            _shuffle(item, shuffler)
        if isinstance(value, list):
            shuffler.shuffle(value)


@settings(max_examples=60)
@given(works(), st.randoms(use_true_random=False))
def test_the_order_of_declaration_never_shows(work: JsonObject, shuffler: random.Random) -> None:
    numbered = _number(work)
    as_declared, otherwise = plan_of(numbered), plan_of(numbered, shuffled_by=shuffler)
    assert otherwise.canonical == as_declared.canonical
    assert otherwise.digest == as_declared.digest


@settings(max_examples=20)
@given(works())
def test_words_of_a_command_keep_their_order(work: JsonObject) -> None:
    numbered = _number(work)
    step = numbered["pipeline"]["spec"]["steps"][0]
    step["command"] = ["x", "y"]
    before = plan_of(numbered).digest
    step["command"] = ["y", "x"]
    assert plan_of(numbered).digest != before


@settings(max_examples=20)
@given(works())
def test_every_content_shows_in_the_digest(work: JsonObject) -> None:
    numbered = _number(work)
    changed = [deepcopy(numbered) for _ in range(4)]
    changed[0]["parameters"]["new"] = 1
    changed[1]["code"]["commit"] = "f" * 40
    changed[2]["lock"]["packages"].append({"ecosystem": "deb", "name": "x", "version": "1"})
    changed[3]["pipeline"]["spec"]["steps"][0]["timeoutSeconds"] += 1
    digests = {plan_of(one).digest for one in (numbered, *changed)}
    assert len(digests) == len(changed) + 1


@settings(max_examples=20)
@given(works())
def test_a_plan_reads_back_as_it_was_sealed(work: JsonObject) -> None:
    plan = plan_of(_number(work))
    again = type(plan.document).model_validate(plan.document.content())
    assert again.content() == plan.document.content()
    assert replace(plan, document=again).document.content() == plan.document.content()
