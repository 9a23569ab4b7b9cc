"""CEL rules: what they answer, what cannot be published, and what a runaway rule costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from animus.adapters.rules import children
from animus.adapters.rules import judge as judging
from animus.adapters.rules.evaluation import LIBRARY, answer, context_of, fault
from animus.adapters.rules.judge import ProcessRuleJudge
from animus.domain.errors import Unavailable
from animus.domain.policies import DEFAULT_POLICY
from animus.domain.policy_evaluation import Answer
from animus.domain.policy_input import policy_input
from tests.support.documents import short_pipeline
from tests.support.plans import make_body, make_spec, read_lock

SEEN = policy_input(
    make_body(
        pipeline=short_pipeline(train={"data": "data", "egress": "pypi.example:443", "cpu": 4}),
        spec=make_spec(parameters={"lr": 0.1}),
        locked=read_lock(),
    )
)
LONG = {"a": list(range(200)), "steps": []}
RUNAWAY = "plan.a.all(i, plan.a.all(j, plan.a.all(k, plan.a.all(l, plan.a.all(m, m >= 0)))))"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("plan.classification == 'production'", Answer.MATCHED),
        ("plan.classification == 'development'", Answer.UNMATCHED),
        ("plan.steps.exists(s, s.egress.exists(e, e.port == 443))", Answer.MATCHED),
        ("plan.steps.all(s, s.millicores <= 2000)", Answer.UNMATCHED),
        ("plan.parameters.exists(p, p.name == 'lr' && p.value < 0.2)", Answer.MATCHED),
        ("plan.limitations.exists(l, l.code == 'runtime_runc')", Answer.UNMATCHED),
        ("plan.steps.all(s, s.repository.startsWith('registry.example/'))", Answer.MATCHED),
        ("plan.nosuch == 1", Answer.ERROR),
        ("plan.steps[7].name == 'x'", Answer.ERROR),
        ("1 / 0 == 1", Answer.ERROR),
        ("plan.pipeline", Answer.ERROR),
        ("plan.pipeline > 1", Answer.ERROR),
        ("plan.pipeline +", Answer.ERROR),
        ("who == 'me'", Answer.ERROR),
    ],
)
def test_a_rule_answers_and_what_goes_wrong_in_it_is_an_answer_too(
    expression: str, expected: Answer
) -> None:
    said = answer(expression, context_of(SEEN))
    assert said.answer is expected
    assert bool(said.message) == (expected is Answer.ERROR)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("plan.pipeline +", "does not compile"),
        ("run.id == 'x'", "a rule sees only 'plan'"),
        ("plan.steps.all(s, t.name == '')", "It uses t"),
        ("plan.nosuch == 1", "no field 'nosuch'"),
        ("plan.steps.all(s, s.nosuch == 1)", "no field 'nosuch'"),
        ("plan.pipeline", "gives str"),
        ("1", "gives int"),
    ],
)
def test_a_rule_that_could_never_be_answered_is_not_published(expression: str, says: str) -> None:
    assert says in (fault(expression) or "")


@pytest.mark.parametrize(
    "expression", ["true", "plan.steps.all(s, s.gpus == 0)", "plan.steps[3].name == 'x'"]
)
def test_a_rule_that_some_plan_can_answer_may_be_published(expression: str) -> None:
    assert fault(expression) is None


def test_the_default_policy_may_be_published() -> None:
    rules: list[Any] = DEFAULT_POLICY["rules"]  # type: ignore[assignment]  # a document
    assert [fault(rule["when"]) for rule in rules] == [None, None]


@pytest.fixture(scope="module")
async def judge() -> AsyncIterator[ProcessRuleJudge]:
    judge = ProcessRuleJudge()
    await judge.start()
    yield judge
    await judge.close()


async def test_the_judge_answers_in_the_order_of_the_rules(judge: ProcessRuleJudge) -> None:
    said = await judge.answer(SEEN, ["true", "false", "plan.nosuch", "true"])
    assert [one.answer for one in said] == [
        Answer.MATCHED, Answer.UNMATCHED, Answer.ERROR, Answer.MATCHED,
    ]  # fmt: skip


async def test_the_judge_says_what_keeps_rules_from_being_published(
    judge: ProcessRuleJudge,
) -> None:
    said = await judge.faults(["true", "plan.nosuch == 1"])
    assert [one is None for one in said] == [True, False]


async def test_a_runaway_rule_is_stopped_and_the_others_are_answered(
    judge: ProcessRuleJudge,
) -> None:
    said = await judge.answer(LONG, ["true", RUNAWAY, "false"])
    assert [one.answer for one in said] == [Answer.MATCHED, Answer.ERROR, Answer.UNMATCHED]
    assert "was stopped" in said[1].message


async def test_many_rules_are_answered_in_order_also_where_two_of_them_run_away(
    judge: ProcessRuleJudge,
) -> None:
    rules = ["true", "false"] * 20
    said = await judge.answer(LONG, [*rules, RUNAWAY, *rules, RUNAWAY])
    honest = [Answer.MATCHED, Answer.UNMATCHED] * 20
    assert [one.answer for one in said] == [*honest, Answer.ERROR, *honest, Answer.ERROR]


async def test_the_judge_says_which_library_judged(judge: ProcessRuleJudge) -> None:
    assert judge.library == LIBRARY
    assert LIBRARY.startswith("common-expression-language ")


async def test_answers_of_an_interrupted_question_are_nobody_elses(judge: ProcessRuleJudge) -> None:
    asked = asyncio.create_task(judge.answer(LONG, [RUNAWAY, "true", "true"]))
    await asyncio.wait({asked}, timeout=0.2)  # the first rule is being evaluated by then
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    for _ in range(3):
        said = await judge.answer(SEEN, ["false", "false"])
        assert [one.answer for one in said] == [Answer.UNMATCHED, Answer.UNMATCHED]


async def test_all_rules_of_a_plan_together_are_bounded(
    judge: ProcessRuleJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "ALL_RULES_SECONDS", 1.9 * children.RULE_SECONDS)
    said = await judge.answer(LONG, ["true", RUNAWAY, "true", "true"])
    assert [one.answer for one in said] == [Answer.MATCHED, *[Answer.ERROR] * 3]


async def test_who_gets_no_turn_is_told_to_try_again(
    judge: ProcessRuleJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "TURN_SECONDS", 0.05)
    async with AsyncExitStack() as turns:
        for _ in range(judging.CHILDREN):
            await turns.enter_async_context(judge.turn())
        with pytest.raises(Unavailable):
            await judge.answer(SEEN, ["true"])
    assert (await judge.answer(SEEN, ["true"]))[0].answer is Answer.MATCHED
