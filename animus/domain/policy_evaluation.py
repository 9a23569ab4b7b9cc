"""`evaluate`: one verdict from a plan body, the built-in rules and every policy in force."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from animus.domain.code_refs import CodeState
from animus.domain.environment_locks import EnvironmentLock
from animus.domain.ids import PolicyVersionId
from animus.domain.limitations import EXPLANATIONS, PRODUCTION_NEEDS, LimitationCode
from animus.domain.plan_peaks import peak_of
from animus.domain.plans import PlanBody
from animus.domain.policies import ApprovalDemand, PolicyDocument, Rule
from animus.domain.quotas import UNLIMITED, Ceilings, describe, find_excess
from animus.domain.run_specs import Classification
from animus.domain.verdicts import BUILTIN, Effect, Finding, GateRule, RuleName, Verdict


class Answer(StrEnum):
    """What evaluating one rule gave. An error or a timeout denies."""

    MATCHED = "matched"
    UNMATCHED = "unmatched"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInForce:
    """A published version, as it is asked. `digest` is of its canonical bytes, as text."""

    id: PolicyVersionId
    name: str
    version: int
    digest: str
    document: PolicyDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleAnswer:
    answer: Answer
    message: str = ""
    """Why it could not be answered; fit for the person who reads the verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One policy with the answers to its rules, in the order of its rules."""

    policy: PolicyInForce
    answers: tuple[RuleAnswer, ...]

    def pairs(self) -> Iterator[tuple[Rule, RuleAnswer]]:
        yield from zip(self.policy.document.rules, self.answers, strict=True)


def evaluate(
    body: PlanBody,
    lock: EnvironmentLock | None,
    judgements: Sequence[Judgement],
    *,
    gives_secrets: bool = False,
    ceilings: Ceilings = UNLIMITED,
) -> Verdict:
    """Combine the answers. Neither the order of policies nor of rules changes the result.

    `gives_secrets` says whether there is a secret store where the steps are to run.
    """
    said = [finding for judgement in judgements for finding in _findings(judgement)]
    accepted = frozenset(code for j in judgements for rule in _matched(j) for code in rule.accept)
    builtin = [*_builtin_findings(body, lock, ceilings, accepted)]
    if not gives_secrets:
        builtin += _secret_findings(body)
    permitted = {Effect.ALLOW, Effect.REQUIRE_APPROVAL} & {finding.effect for finding in said}
    if body.classification is Classification.PRODUCTION and not permitted:
        builtin.append(
            _builtin("explicit-permission", "No policy in force allows this production run.")
        )
    findings = sorted([*said, *builtin], key=lambda f: (f.policy, f.rule, f.effect, f.reason))
    gates = _merge(_demands(judgements))
    used = accepted & {limitation.code for limitation in body.limitations} & PRODUCTION_NEEDS
    return Verdict(
        effect=_combined(findings),
        findings=tuple(findings),
        gates=gates,
        accepted=tuple(sorted(used)) if body.classification is Classification.PRODUCTION else (),
    )


def _combined(findings: Iterable[Finding]) -> Effect:
    effects = {finding.effect for finding in findings}
    if Effect.DENY in effects:
        return Effect.DENY
    return Effect.REQUIRE_APPROVAL if Effect.REQUIRE_APPROVAL in effects else Effect.ALLOW


def _matched(judgement: Judgement) -> Iterator[Rule]:
    return (rule for rule, said in judgement.pairs() if said.answer is Answer.MATCHED)


def _findings(judgement: Judgement) -> Iterator[Finding]:
    digest = judgement.policy.digest
    for rule, said in judgement.pairs():
        if said.answer is Answer.MATCHED:
            yield Finding(policy=digest, rule=rule.id, effect=rule.effect, reason=rule.reason)
        elif said.answer is Answer.ERROR:
            reason = f"The rule could not be evaluated, so it denies: {said.message}"
            yield Finding(policy=digest, rule=rule.id, effect=Effect.DENY, reason=reason)


def _builtin(rule: str, reason: str) -> Finding:
    return Finding(policy=BUILTIN, rule=rule, effect=Effect.DENY, reason=reason)


def _builtin_findings(
    body: PlanBody,
    lock: EnvironmentLock | None,
    ceilings: Ceilings,
    accepted: frozenset[LimitationCode],
) -> Iterator[Finding]:
    """What no policy can switch off."""
    if body.classification is Classification.PRODUCTION:
        if body.code is not None and body.code.state is CodeState.UNCOMMITTED:
            yield _builtin("committed-code", "Production refuses uncommitted code. Commit it.")
        present = {limitation.code for limitation in body.limitations}
        for code in sorted((present & PRODUCTION_NEEDS) - accepted):
            needed = f"Production needs it, or a policy that accepts '{code.value}'."
            reason = f"{EXPLANATIONS[code]} {needed}"
            yield _builtin(f"production-{code}", reason)
    yield from _image_findings(body, lock)
    yield from _executor_findings(body)
    yield from _quota_findings(body, ceilings)


def _quota_findings(body: PlanBody, ceilings: Ceilings) -> Iterator[Finding]:
    """What no place in the queue would ever be found for is refused, not queued for ever."""
    if ceilings.is_unlimited:
        return
    peak = peak_of(body)
    for whose, limits in (("project", ceilings.project), ("cluster", ceilings.cluster)):
        excess = find_excess(peak, used={}, limits=limits)
        if excess is not None:
            wanted, limit = (
                describe(excess.resource, amount) for amount in (excess.wanted, excess.limit)
            )
            reason = (
                f"At its peak the run needs {wanted}; the {whose} never gives more than {limit}. "
                "Ask for less, or have a platform administrator raise the limit."
            )
            yield _builtin(f"{whose}-limit-{excess.resource}", reason)


def _image_findings(body: PlanBody, lock: EnvironmentLock | None) -> Iterator[Finding]:
    if lock is None:
        return
    for step in body.steps:
        if lock.find_image(step.spec.image_digest) is None:
            reason = f"The image of step {step.name!r} is not in the environment lock."
            yield _builtin(f"locked-image-{step.name}", reason)


def _executor_findings(body: PlanBody) -> Iterator[Finding]:
    if body.execution.executor != "container":
        return
    for step in body.steps:
        if step.spec.resources.gpu:
            reason = f"Step {step.name!r} needs a GPU; the container executor has none to give."
            yield _builtin(f"gpu-{step.name}", reason)


def _secret_findings(body: PlanBody) -> Iterator[Finding]:
    for step in body.steps:
        if step.spec.secrets:
            reason = (
                f"Step {step.name!r} needs secrets, and its cluster is registered without a secret "
                "store. Run on a cluster that has one, or have the platform team give the agent "
                "one (agent.secrets) and register its cluster with gives_secrets."
            )
            yield _builtin(f"secrets-{step.name}", reason)


def _demands(judgements: Sequence[Judgement]) -> Iterator[tuple[ApprovalDemand, RuleName]]:
    for judgement in judgements:
        for rule in _matched(judgement):
            if rule.approval is not None:
                yield rule.approval, RuleName(policy=judgement.policy.digest, rule=rule.id)


def _merge(demands: Iterable[tuple[ApprovalDemand, RuleName]]) -> tuple[GateRule, ...]:
    """Equal gates (same role, same service accounts) become one."""
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[ApprovalDemand, RuleName]]] = {}
    for demand, by in demands:
        accounts = tuple(sorted(set(demand.service_accounts)))
        groups.setdefault((demand.role, accounts), []).append((demand, by))
    gates: list[GateRule] = []
    for (role, accounts), members in sorted(groups.items()):
        ordinal = sum(1 for gate in gates if gate.role == role) + 1
        gates.append(
            GateRule.model_validate({
                "name": role if ordinal == 1 else f"{role}-{ordinal}",
                "role": role,
                "quorum": max(demand.quorum for demand, _ in members),
                "deadline_seconds": min(demand.deadline for demand, _ in members),
                "service_accounts": accounts,
                "demanded_by": sorted(
                    (by.content() for _, by in members), key=lambda b: (b["policy"], b["rule"])
                ),
            })
        )  # fmt: skip
    return tuple(gates)
