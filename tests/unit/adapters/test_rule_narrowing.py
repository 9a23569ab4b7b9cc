"""Rules that see less of a plan say the same of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animus.adapters.rules.evaluation import Contexts, answer, context_of
from animus.adapters.rules.narrowing import fields_seen, narrowed

STEPS: list[dict[str, Any]] = [
    {"name": "load", "gpus": 0, "after": [], "egress": [{"host": "db", "port": 5432}]},
    {"name": "fit", "gpus": 2, "after": ["load"], "egress": []},
    {"name": "score", "gpus": 0, "after": ["fit"], "egress": [{"host": "api", "port": 443}]},
]
PLAN: dict[str, Any] = {
    "pipeline": "train",
    "classification": "production",
    "datasets": [{"alias": "loans"}],
    "steps": STEPS,
    "totals": {"steps": 3, "gpus": 2},
}
NAMES = {"name", "gpus", "after", "egress"}


@pytest.mark.parametrize(
    ("expression", "fields"),
    [
        ("plan.classification == 'production'", set()),
        ("plan.totals.gpus > 0", {"gpus"}),
        ("plan.steps.size() <= 10", set()),
        ("plan.steps.all(s, s.gpus <= 4)", {"gpus"}),
        ("plan . steps . all ( s , s . gpus <= 4 )", {"gpus"}),
        ("plan.steps.exists(s, s.egress.exists(e, e.port == 22))", {"egress"}),
        ('plan.steps.map(s, s.name).exists(n, n == "fit")', {"name"}),
        ("plan.steps.exists_one(s, size(s.after) == 0 && has(s.name))", {"after", "name"}),
        ("plan.steps.all(s, s.name in ['plan', 's', 'a//b', \"it's\"])", {"name"}),
        ("plan.steps.all(s, s.name.startsWith('registry/') || !(s.gpus > 1.5))", {"name", "gpus"}),
    ],
)
def test_a_rule_that_takes_fields_by_name_sees_those(expression: str, fields: set[str]) -> None:
    seen = fields_seen(expression)
    assert seen is not None
    assert seen & NAMES == fields
    shown = narrowed(PLAN, [expression])["steps"]
    assert [set(step) for step in shown] == [fields] * len(STEPS)


@pytest.mark.parametrize(
    "expression",
    [
        "size(plan) == 5",
        "plan == plan",
        ".plan == .plan",
        "1 in .plan.steps",
        "plan.size() == 5",
        "plan['steps'].all(s, s.gpus == 0)",
        "plan.steps == []",
        "size(plan.steps) == 3",
        "has(plan.steps)",
        "plan.steps[0].gpus == 0",
        "plan.steps.filter(s, s.gpus > 0).all(t, size(t) == 4)",
        "plan.steps.map(s, s)[0].gpus == 0",
        "(plan.steps).all(s, size(s) == 4)",
        "plan.steps.all(s, s.size() == 4)",
        "plan.steps.all(s, s.exists(key, key == 'gpus'))",
        "plan.steps.all(s, s['gpus'] == 0)",
        "plan.steps.all(s, 'gpus' in s)",
        "plan.steps.all(s, s in plan.steps)",
        "plan.steps.all(s, [s].exists(t, t.gpus == 0))",
        "plan.steps.all(s, (s).size() == 4)",
        "plan.steps.all(s, s.?gpus.hasValue())",
        "plan.steps.all(s, s.`gpus` == 0)",
        "plan.steps.all(i, s, s.gpus == i)",
        "plan.steps.all(plan, plan.gpus == 0)",
        "cel.bind(steps, plan.steps, steps.size() == 3)",
        "plan.steps.all(s, size(s) == 4) // s.gpus",
        "plan.steps.all(s, s.name != 'a\\'b')",
        "plan.steps.all(s, s.name != '''a'b''')",
        "plan.steps.all(s, s.name != r'a')",
        "plan.steps.all(s, s.name != 'unfinished)",
        "plan.totals == {'gpus': 2}",
        "plan.steps.all(s, plan.datasets.exists(s, s == 1))",
        "who == 'me'",
    ],
)
def test_a_rule_that_may_see_a_step_as_a_whole_sees_the_whole_plan(expression: str) -> None:
    assert fields_seen(expression) is None
    contexts = Contexts(PLAN, [expression, "plan.steps.size() == 3"])
    assert answer(expression, contexts.of(expression)) == answer(expression, context_of(PLAN))


_PARTS = """
    plan steps .steps plan.steps s t e . .all( .exists( .map( .exists_one( .filter( .size() size(
    has( s, t, e, s. t. s.gpus t.gpus s.name s.after e.port s.egress .egress .gpus .name .steps.
    plan.steps.all(s, plan.steps.exists(t, plan.totals.gpus plan.datasets ( ) [ ] [0] ['gpus'] { }
    == != > + in && || ! ? : , 1 2 'fit' 'gpus' true false null
"""


_EXPRESSIONS = st.lists(st.sampled_from(_PARTS.split()), max_size=14).map(" ".join)


@given(expressions=st.lists(_EXPRESSIONS, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_whatever_is_asked_the_answers_are_those_of_the_whole_plan(expressions: list[str]) -> None:
    closed = [one + ")" * (one.count("(") - one.count(")")) for one in expressions]
    contexts = Contexts(PLAN, closed)
    for expression in closed:
        assert answer(expression, contexts.of(expression)) == answer(expression, context_of(PLAN))


_STEP_VALUES = st.sampled_from(["s.gpus", "s.after", "s.name", "s", "s.egress", "size(s.after)"])
_TESTS = st.sampled_from(["== 0", "> 1", "== 'fit'", ".size() > 0", "in ['fit', 2]", "!= s", ""])
_MACROS = st.sampled_from(["all", "exists", "exists_one", "filter", "map"])
_ENDINGS = st.sampled_from(["", ".size() > 1", "[0]", " == [true]", ".exists(s, s.gpus > 1)"])


@given(macro=_MACROS, value=_STEP_VALUES, test=_TESTS, ending=_ENDINGS)
@settings(max_examples=300, deadline=None)
def test_rules_as_people_write_them_answer_the_same(
    macro: str, value: str, test: str, ending: str
) -> None:
    expression = f"plan.steps.{macro}(s, {value} {test}){ending}"
    contexts = Contexts(PLAN, [expression])
    assert answer(expression, contexts.of(expression)) == answer(expression, context_of(PLAN))
