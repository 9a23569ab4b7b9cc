"""Plans of made-up work, for rules that are about plans: no database, no judge."""

from __future__ import annotations

from collections.abc import Sequence

from animus.domain.canonical import JsonObject
from animus.domain.digests import format_digest
from animus.domain.environment_locks import EnvironmentLock, canonical_lock, lock_digest
from animus.domain.ids import PolicyVersionId
from animus.domain.pipeline_expansion import expand_pipeline
from animus.domain.plans import Execution, ExecutionPlan, Facts, PlanBody, draft, seal
from animus.domain.policies import policy_bytes, policy_digest, read_policy
from animus.domain.policy_evaluation import (
    Answer,
    Judgement,
    PolicyInForce,
    RuleAnswer,
    evaluate,
)
from animus.domain.run_specs import RunSpec
from animus.store.new_ids import new_id
from tests.support.documents import DIGEST_B, DIGEST_C, code, lock, policy, short_pipeline

CONTAINER = Execution(executor="container", runtime="runsc")
KUBERNETES = Execution(executor="kubernetes", runtime="gvisor")


def read_lock(document: JsonObject | None = None) -> EnvironmentLock:
    return EnvironmentLock.model_validate(lock() if document is None else document)


def make_spec(**changes: object) -> RunSpec:
    """A RunSpec that names everything production wants to have named."""
    said: JsonObject = {
        "classification": "production",
        "pipeline_digest": DIGEST_C,
        "datasets": [{"alias": "data", "digest": DIGEST_B}],
        "code": code(),
        "environment_lock": format_digest(lock_digest(canonical_lock(read_lock()))),
        "parameters": {},
    }
    return RunSpec.model_validate({k: v for k, v in (said | changes).items() if v is not None})


def make_body(
    *,
    spec: RunSpec | None = None,
    pipeline: JsonObject | None = None,
    locked: EnvironmentLock | None = None,
    execution: Execution = KUBERNETES,
    switches_egress: bool = False,
) -> PlanBody:
    """The body of a plan; `locked` is the lock that the spec names, if it names one."""
    written = pipeline if pipeline is not None else short_pipeline(train={"data": "data"})
    facts = Facts(
        pipeline=expand_pipeline(written),
        lock=locked,
        execution=execution,
        switches_egress=switches_egress,
    )
    return draft(spec or make_spec(), facts)


def in_force(*rules: JsonObject, name: str = "default") -> PolicyInForce:
    document = read_policy(policy(*rules))
    return PolicyInForce(
        id=PolicyVersionId(new_id()),
        name=name,
        version=1,
        digest=format_digest(policy_digest(policy_bytes(document))),
        document=document,
    )


def judged(*rules: JsonObject, answers: Sequence[Answer] | None = None) -> Judgement:
    """A policy whose rules all match, or as `answers` say."""
    asked = in_force(*rules)
    said = answers if answers is not None else [Answer.MATCHED] * len(asked.document.rules)
    return Judgement(policy=asked, answers=tuple(RuleAnswer(answer=one) for one in said))


def make_plan(
    *judgements: Judgement, body: PlanBody | None = None, locked: EnvironmentLock | None = None
) -> ExecutionPlan:
    judged_body = body or make_body(locked=locked)
    verdict = evaluate(judged_body, locked, judgements)
    return seal(judged_body, verdict, tuple(one.policy.digest for one in judgements))
