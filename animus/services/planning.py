"""draft, evaluate and seal with what the store knows: one path for preview, plan, revalidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from animus.domain.canonical import JsonObject, canonical_bytes
from animus.domain.digests import Digest, tagged_digest
from animus.domain.plans import ExecutionPlan, Facts, draft, seal
from animus.domain.policy_evaluation import (
    Answer,
    Judgement,
    PolicyInForce,
    RuleAnswer,
    evaluate,
)
from animus.domain.policy_input import TAG, policy_input
from animus.domain.run_specs import RunSpec
from animus.domain.verdicts import Effect
from animus.ports import RuleJudge


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVerdict:
    """What one policy said, as it is recorded; `policy` is None for the built-in rules."""

    policy: PolicyInForce | None
    effect: Effect
    answers: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan, and what its verdicts are recorded from, where they are."""

    plan: ExecutionPlan
    seen: JsonObject
    judgements: tuple[Judgement, ...]
    library: str

    def verdicts(self) -> tuple[PolicyVerdict, ...]:
        return (_builtin_verdict(self.plan), *(_verdict_of(one) for one in self.judgements))

    def input_digest(self) -> Digest:
        return tagged_digest(TAG, self.seen)


async def make_plan(
    spec: RunSpec, facts: Facts, policies: Sequence[PolicyInForce], judge: RuleJudge
) -> Planned:
    """The same inputs give the same bytes, whoever asks and whenever."""
    body = draft(spec, facts)
    seen = policy_input(body)
    judgements = await _judgements(seen, policies, judge)
    verdict = evaluate(
        body, facts.lock, judgements, gives_secrets=facts.gives_secrets, ceilings=facts.ceilings
    )
    plan = seal(body, verdict, tuple(policy.digest for policy in policies))
    return Planned(plan=plan, seen=seen, judgements=judgements, library=judge.library)


async def _judgements(
    seen: JsonObject, policies: Sequence[PolicyInForce], judge: RuleJudge
) -> tuple[Judgement, ...]:
    expressions = [rule.when for policy in policies for rule in policy.document.rules]
    answers = iter(await judge.answer(seen, expressions) if expressions else ())
    return tuple(
        Judgement(policy=policy, answers=tuple(next(answers) for _ in policy.document.rules))
        for policy in policies
    )


def _verdict_of(judgement: Judgement) -> PolicyVerdict:
    effects = {_effect(rule.effect, answer) for rule, answer in judgement.pairs()}
    recorded = [
        {"rule": rule.id, "answer": str(answer.answer), "message": answer.message}
        for rule, answer in judgement.pairs()
    ]
    return PolicyVerdict(
        policy=judgement.policy,
        effect=_strictest(effects),
        answers=canonical_bytes({"answers": recorded}),
    )


def _effect(effect: Effect, answer: RuleAnswer) -> Effect:
    match answer.answer:
        case Answer.MATCHED:
            return effect
        case Answer.ERROR:
            return Effect.DENY
        case Answer.UNMATCHED:
            return Effect.ALLOW


def _strictest(effects: set[Effect]) -> Effect:
    order = (Effect.DENY, Effect.REQUIRE_APPROVAL)
    return next((effect for effect in order if effect in effects), Effect.ALLOW)


def _builtin_verdict(plan: ExecutionPlan) -> PolicyVerdict:
    own = [f for f in plan.document.verdict.findings if f.policy == "builtin"]
    return PolicyVerdict(
        policy=None,
        effect=_strictest({finding.effect for finding in own}),
        answers=canonical_bytes({"findings": [finding.content() for finding in own]}),
    )
