"""One verdict from all rules of all policies: deny wins, gates merge, production is explicit."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animus.domain.canonical import JsonObject
from animus.domain.limitations import PRODUCTION_NEEDS
from animus.domain.plans import Execution, PlanBody
from animus.domain.policy_evaluation import Answer, Judgement, RuleAnswer, evaluate
from animus.domain.quotas import Ceilings
from animus.domain.verdicts import BUILTIN, Effect, GateRule, Verdict
from tests.support.documents import DIGEST_A, DIGEST_B, code, demand, lock, rule, short_pipeline
from tests.support.plans import CONTAINER, KUBERNETES, judged, make_body, make_spec, read_lock

ALLOW = judged(rule("allowed", "allow"))
DENY = judged(rule("denied", "deny"))
SILENT = judged(rule("silent", "allow"), answers=[Answer.UNMATCHED])


def asking(name: str = "asked", **changes: Any) -> Judgement:
    return judged(rule(name, "require_approval", approval=demand(**changes)))


def production(**changes: Any) -> PlanBody:
    return make_body(spec=make_spec(**changes), locked=read_lock())


def development(**changes: Any) -> PlanBody:
    return make_body(spec=make_spec(classification="development", **changes), locked=read_lock())


def verdict_on(body: PlanBody, *judgements: Judgement) -> Verdict:
    return evaluate(body, read_lock(), judgements)


def builtins_of(verdict: Verdict) -> list[str]:
    return [finding.rule for finding in verdict.findings if finding.policy == BUILTIN]


def test_a_denial_wins_over_everything_else() -> None:
    assert verdict_on(production(), ALLOW, asking(), DENY).effect is Effect.DENY


def test_a_demand_for_approval_wins_over_an_allowance() -> None:
    verdict = verdict_on(production(), ALLOW, asking())
    assert verdict.effect is Effect.REQUIRE_APPROVAL
    assert [gate.role for gate in verdict.gates] == ["reviewer"]


def test_all_rules_are_asked_and_there_is_no_first_match() -> None:
    verdict = verdict_on(production(), judged(rule("a", "allow"), rule("b", "deny")))
    assert [finding.rule for finding in verdict.findings] == ["a", "b"]


def test_production_needs_a_policy_that_allows_it() -> None:
    for judgements in ((), (SILENT,)):
        verdict = verdict_on(production(), *judgements)
        assert (verdict.effect, builtins_of(verdict)) == (Effect.DENY, ["explicit-permission"])
    assert verdict_on(production(), ALLOW).effect is Effect.ALLOW


def test_development_needs_no_policy_that_allows_it() -> None:
    assert verdict_on(development()).effect is Effect.ALLOW
    assert verdict_on(development(), DENY).effect is Effect.DENY


def test_a_rule_that_cannot_be_evaluated_denies_with_the_reason() -> None:
    failing = Judgement(
        policy=ALLOW.policy, answers=(RuleAnswer(answer=Answer.ERROR, message="no such field"),)
    )
    verdict = verdict_on(development(), failing)
    (finding,) = verdict.findings
    assert (verdict.effect, finding.effect) == (Effect.DENY, Effect.DENY)
    assert "could not be evaluated, so it denies: no such field" in finding.reason


def test_an_answer_for_each_rule_is_demanded() -> None:
    with pytest.raises(ValueError, match="shorter"):
        verdict_on(production(), Judgement(policy=ALLOW.policy, answers=()))


def test_equal_gates_merge_to_the_larger_quorum_and_the_earlier_deadline() -> None:
    many = [asking("a", quorum=1, deadline=600), asking("b", quorum=3, deadline=900)]
    (gate,) = verdict_on(production(), *many).gates
    assert (gate.name, gate.quorum, gate.deadline_seconds) == ("reviewer", 3, 600)
    assert sorted(by.rule for by in gate.demanded_by) == ["a", "b"]


def test_gates_of_other_roles_and_of_other_accounts_stay_apart() -> None:
    verdict = verdict_on(
        production(), asking("a"), asking("b", role="admin"), asking("c", service_accounts=["ci"])
    )
    assert [(gate.name, gate.role, gate.service_accounts) for gate in verdict.gates] == [
        ("admin", "admin", ()), ("reviewer", "reviewer", ()), ("reviewer-2", "reviewer", ("ci",)),
    ]  # fmt: skip


def test_service_accounts_in_another_order_are_the_same_gate() -> None:
    verdict = verdict_on(
        production(), asking("a", service_accounts=["x", "y"]),
        asking("b", service_accounts=["y", "x", "x"]),
    )  # fmt: skip
    assert [gate.service_accounts for gate in verdict.gates] == [("x", "y")]


def test_only_rules_that_match_demand_a_gate() -> None:
    silent = judged(rule("r", "require_approval", approval=demand()), answers=[Answer.UNMATCHED])
    assert verdict_on(production(), ALLOW, silent).gates == ()


MISSING: dict[str, dict[str, Any]] = {
    "code_missing": {"code": None},
    "environment_unlocked": {"environment_lock": None},
    "dataset_missing": {"datasets": []},
}


def without(code_of_limitation: str) -> PlanBody:
    locked = None if code_of_limitation == "environment_unlocked" else read_lock()
    pipeline = short_pipeline() if code_of_limitation == "dataset_missing" else None
    spec = make_spec(**MISSING[code_of_limitation])
    return make_body(spec=spec, locked=locked, pipeline=pipeline)


def test_the_table_of_what_production_needs_is_complete() -> None:
    assert set(MISSING) == set(PRODUCTION_NEEDS)


@pytest.mark.parametrize("missing", MISSING)
def test_production_without_what_it_needs_is_denied(missing: str) -> None:
    verdict = verdict_on(without(missing), ALLOW)
    assert verdict.effect is Effect.DENY
    assert builtins_of(verdict) == [f"production-{missing}"]


@pytest.mark.parametrize("missing", MISSING)
def test_a_policy_may_accept_what_production_lacks_and_the_verdict_says_so(missing: str) -> None:
    accepting = judged(rule("accepted", "allow", accept=[missing]))
    verdict = verdict_on(without(missing), accepting)
    assert (verdict.effect, verdict.accepted) == (Effect.ALLOW, (missing,))


@pytest.mark.parametrize("missing", MISSING)
def test_a_rule_that_does_not_match_accepts_nothing(missing: str) -> None:
    silent = judged(rule("accepted", "allow", accept=[missing]), answers=[Answer.UNMATCHED])
    assert verdict_on(without(missing), ALLOW, silent).effect is Effect.DENY


def test_what_is_accepted_and_not_missing_is_not_in_the_verdict() -> None:
    accepting = judged(rule("accepted", "allow", accept=sorted(PRODUCTION_NEEDS)))
    assert verdict_on(production(), accepting).accepted == ()


def test_uncommitted_code_is_denied_in_production_whatever_a_policy_accepts() -> None:
    uncommitted = code(state="uncommitted", pack_sha256=DIGEST_A)
    accepting = judged(rule("accepted", "allow", accept=["code_uncommitted", "code_missing"]))
    verdict = verdict_on(production(code=uncommitted), accepting)
    assert (verdict.effect, builtins_of(verdict)) == (Effect.DENY, ["committed-code"])


def test_uncommitted_code_is_allowed_in_development() -> None:
    uncommitted = code(state="uncommitted", pack_sha256=DIGEST_A)
    assert verdict_on(development(code=uncommitted), ALLOW).effect is Effect.ALLOW


@pytest.mark.parametrize("classification", ["development", "production"])
def test_an_image_outside_the_lock_is_denied_everywhere(classification: str) -> None:
    other = read_lock(lock(images=[lock()["images"][0] | {"manifest_digest": DIGEST_B}]))
    body = make_body(spec=make_spec(classification=classification), locked=other)
    verdict = evaluate(body, other, [ALLOW])
    assert (verdict.effect, builtins_of(verdict)) == (Effect.DENY, ["locked-image-train"])


@pytest.mark.parametrize(
    ("ceilings", "names"),
    [
        (Ceilings(project={"cpu": 999}, cluster={"cpu": 10_000}), ["project-limit-cpu"]),
        (Ceilings(project={"runs": 1}, cluster={"memory": 1}), ["cluster-limit-memory"]),
        (Ceilings(project={"cpu": 1_000}, cluster={"nvidia.com/gpu": 0}), []),
    ],
)
def test_a_run_that_could_never_be_let_in_is_denied(ceilings: Ceilings, names: list[str]) -> None:
    verdict = evaluate(production(), read_lock(), [ALLOW], ceilings=ceilings)
    assert builtins_of(verdict) == names


@pytest.mark.parametrize(
    ("said", "name"),
    [({"gpu": 1}, "gpu-train")],
)
def test_what_the_container_executor_cannot_give_is_denied(said: JsonObject, name: str) -> None:
    pipeline = short_pipeline(train=said | {"data": "data"})
    on_container = make_body(pipeline=pipeline, locked=read_lock(), execution=CONTAINER)
    on_cluster = make_body(pipeline=pipeline, locked=read_lock())
    assert builtins_of(verdict_on(on_container, ALLOW)) == [name]
    assert builtins_of(verdict_on(on_cluster, ALLOW)) == []


@pytest.mark.parametrize("execution", [CONTAINER, KUBERNETES])
def test_secrets_are_denied_where_no_store_gives_them(execution: Execution) -> None:
    pipeline = short_pipeline(train={"secrets": {"s": "path"}, "data": "data"})
    body = make_body(pipeline=pipeline, locked=read_lock(), execution=execution)
    denied = evaluate(body, read_lock(), [ALLOW])
    assert (denied.effect, builtins_of(denied)) == (Effect.DENY, ["secrets-train"])
    assert any("agent.secrets" in finding.reason for finding in denied.findings)
    allowed = evaluate(body, read_lock(), [ALLOW], gives_secrets=True)
    assert (allowed.effect, builtins_of(allowed)) == (Effect.ALLOW, [])


@given(
    st.lists(
        st.tuples(st.sampled_from(["allow", "deny", "require_approval"]), st.sampled_from(Answer)),
        min_size=1,
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_policies_does_not_change_the_verdict(
    said: list[tuple[str, Answer]], shuffler: random.Random
) -> None:
    judgements = [
        judged(_ruled(n, effect), answers=[answer]) for n, (effect, answer) in enumerate(said)
    ]
    expected = verdict_on(production(), *judgements)
    shuffler.shuffle(judgements)
    assert verdict_on(production(), *judgements) == expected


def test_two_policies_of_one_content_with_other_answers_have_one_order() -> None:
    failing = judged(rule("denied", "deny"), answers=[Answer.ERROR])
    assert verdict_on(production(), DENY, failing) == verdict_on(production(), failing, DENY)


def _ruled(number: int, effect: str) -> JsonObject:
    asks: JsonObject = {"approval": demand(quorum=number + 1)}
    return rule(f"r{number}", effect, **(asks if effect == "require_approval" else {}))


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(60, 900)), min_size=1, max_size=5))
def test_a_merged_gate_is_no_weaker_than_any_that_it_came_from(
    demands: list[tuple[int, int]],
) -> None:
    judgements = [
        asking(f"r{n}", quorum=quorum, deadline=deadline)
        for n, (quorum, deadline) in enumerate(demands)
    ]
    (gate,) = verdict_on(production(), *judgements).gates
    assert isinstance(gate, GateRule)
    assert all(gate.quorum >= quorum for quorum, _ in demands)
    assert all(gate.deadline_seconds <= deadline for _, deadline in demands)
