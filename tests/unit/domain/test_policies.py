"""Policy documents: bounds that a version must keep, and digests without an order of rules."""

from __future__ import annotations

from typing import Any

import pytest

from animus.domain.errors import InvalidDocument
from animus.domain.policies import (
    DEFAULT_POLICY,
    MAX_NESTING,
    MAX_RULE_BYTES,
    MAX_RULES,
    comprehension_depth,
    policy_bytes,
    read_policy,
)
from animus.domain.verdicts import MAX_DEADLINE_SECONDS, MAX_QUORUM
from tests.support.documents import demand, policy, rule

NESTED = "plan.steps.all(s, plan.steps.exists(t, plan.steps.map(u, u.name).size() > 0))"


def faults_of(value: Any) -> list[str]:
    with pytest.raises(InvalidDocument) as refused:
        read_policy(value)
    return [fault.pointer for fault in refused.value.faults]


def asking(**changes: Any) -> dict[str, Any]:
    return policy(rule("r", "require_approval", approval=demand(**changes)))


def test_the_default_policy_keeps_every_bound() -> None:
    effects = [rule.effect for rule in read_policy(DEFAULT_POLICY).rules]
    assert effects == ["allow", "require_approval"]


def test_a_deadline_may_have_a_unit() -> None:
    (read,) = read_policy(asking(deadline="2h")).rules
    assert read.approval is not None
    assert read.approval.deadline == 7200


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (policy() | {"schema": "animus.policy/v2"}, "/schema"),
        (policy() | {"rule": []}, "/rule"),
        ({"schema": "animus.policy/v1", "rules": []}, "/rules"),
        (policy(rule("a", "allow"), rule("a", "deny")), "/rules/1/id"),
        (policy(rule("a b", "allow")), "/rules/0/id"),
        (policy(rule("a", "permit")), "/rules/0/effect"),
        (policy(rule("a", "allow", when="")), "/rules/0/when"),
        (policy(rule("a", "allow", when="x" * (MAX_RULE_BYTES + 1))), "/rules/0/when"),
        (policy(rule("a", "allow", when="é" * (MAX_RULE_BYTES // 2 + 1))), "/rules/0/when"),
        (policy(rule("a", "allow", when=NESTED)), "/rules/0/when"),
        (policy(rule("a", "allow", approval=demand())), "/rules/0/approval"),
        (policy(rule("a", "deny", approval=demand())), "/rules/0/approval"),
        (policy(rule("a", "require_approval")), "/rules/0/approval"),
        (policy(rule("a", "deny", accept=["dataset_missing"])), "/rules/0/accept"),
        (policy(rule("a", "allow", accept=["no_such_code"])), "/rules/0/accept/0"),
        (asking(role="viewer"), "/rules/0/approval/role"),
        (asking(quorum=0), "/rules/0/approval/quorum"),
        (asking(quorum=MAX_QUORUM + 1), "/rules/0/approval/quorum"),
        (asking(deadline=59), "/rules/0/approval/deadline"),
        (asking(deadline=MAX_DEADLINE_SECONDS + 1), "/rules/0/approval/deadline"),
        (asking(deadline="soon"), "/rules/0/approval/deadline"),
    ],
)
def test_a_policy_outside_its_bounds_is_refused_at_its_place(value: Any, pointer: str) -> None:
    assert faults_of(value) == [pointer]


def test_the_longest_list_of_rules_is_accepted_and_one_more_is_not() -> None:
    rules = [rule(f"r{n}", "allow") for n in range(MAX_RULES)]
    read_policy(policy(*rules))
    assert faults_of(policy(*rules, rule("more", "allow"))) == ["/rules"]


def test_the_longest_rule_is_accepted() -> None:
    read_policy(policy(rule("a", "allow", when="x" * MAX_RULE_BYTES)))


def test_the_order_of_rules_is_not_part_of_a_policy() -> None:
    rules = [
        rule("a", "allow", accept=["dataset_missing", "code_missing"]),
        rule("b", "require_approval", approval=demand(service_accounts=["x", "y"])),
    ]
    other = [
        rule("b", "require_approval", approval=demand(service_accounts=["y", "x"])),
        rule("a", "allow", accept=["code_missing", "dataset_missing"]),
    ]
    assert policy_bytes(read_policy(policy(*rules))) == policy_bytes(read_policy(policy(*other)))


@pytest.mark.parametrize(
    ("expression", "depth"),
    [
        ("true", 0),
        ("plan.steps.size() > 1", 0),
        ("plan.steps.all(s, true)", 1),
        ("plan.steps.filter(s, true).map(t, t).exists(u, true)", 1),
        ("plan.steps.all(s, s.egress.all(e, true))", 2),
        ("plan.steps . all ( s , plan.steps\n.\nexists_one\n(t, true))", 2),
        (NESTED, 3),
        ("{'a': plan.steps.all(s, {'b': [plan.steps.all(t, true)]}['b'][0])}['a']", 2),
        ("plan.steps.existsOne(s, plan.steps.existsOne(t, true))", 2),
        ("plan.steps.transformList(i, s, plan.steps.all(t, true))", 2),
        ("'plan.steps.all(s, plan.steps.all(t, plan.steps.all(u, true)))' == ''", 0),
        ('"all(s, \\"all(t, " == ""', 0),
        ('plan.pipeline == ")" && plan.steps.all(s, "(".size() > 0 && s.egress.all(e, true))', 2),
    ],
)
def test_comprehensions_are_counted_in_each_other(expression: str, depth: int) -> None:
    assert comprehension_depth(expression) == depth


@pytest.mark.parametrize(
    "hidden",
    [
        NESTED.replace(".", ".// a comment\n"),
        "true // it's a comment\n && " + NESTED + " // '",
        r'r"\" == "" || ' + NESTED + ' || "" == ""',
        r"bR'\' == b'' || " + NESTED + " || '' == ''",
        r'"""\"""" == "" || ' + NESTED + ' || "" == ""',
        r"'''\'''' == '' || " + NESTED + " || '' == ''",
        NESTED.replace("all(", "existsOne("),
    ],
)
def test_nesting_cannot_be_hidden_behind_strings_and_comments(hidden: str) -> None:
    assert comprehension_depth(hidden) > MAX_NESTING
