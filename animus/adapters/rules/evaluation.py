"""Evaluating CEL expressions: pure functions, run inside the child process of `judge`.

The library holds the interpreter's lock, walks maps in random order and has no cost limit. So it
gets no maps to walk (see `animus.domain.policy_input`) and a process of its own that is killed
when it takes too long.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, cached_property, lru_cache
from importlib.metadata import version
from typing import Any

import cel

from animus.adapters.rules.narrowing import fields_seen, narrowed
from animus.domain.pipeline_expansion import expand_pipeline
from animus.domain.plans import Execution, Facts, draft
from animus.domain.policy_evaluation import Answer, RuleAnswer
from animus.domain.policy_input import policy_input
from animus.domain.run_specs import RunSpec

DISTRIBUTION = "common-expression-language"
LIBRARY = f"{DISTRIBUTION} {version(DISTRIBUTION)}"
VARIABLE = "plan"
MAX_MESSAGE = 300

_BOUND = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
_FAILURES = (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError)


def context_of(plan: dict[str, Any]) -> cel.Context:
    return cel.Context({VARIABLE: plan})


class Contexts:
    """Of one plan: whole, and with what those of the expressions see that are understood."""

    def __init__(self, plan: dict[str, Any], expressions: Sequence[str]) -> None:
        self._plan, self._expressions = plan, expressions

    def of(self, expression: str) -> cel.Context:
        return self._whole if fields_seen(expression) is None else self._narrowed

    @cached_property
    def _whole(self) -> cel.Context:
        return context_of(self._plan)

    @cached_property
    def _narrowed(self) -> cel.Context:
        return context_of(narrowed(self._plan, self._expressions))


def answer(expression: str, context: cel.Context) -> RuleAnswer:
    """What a rule says of a plan; whatever goes wrong in it is an answer too."""
    try:
        value = _compiled(expression).execute(context)
    except _FAILURES as error:
        return RuleAnswer(answer=Answer.ERROR, message=_readable(error))
    if not isinstance(value, bool):
        return RuleAnswer(answer=Answer.ERROR, message=_not_a_bool(value))
    return RuleAnswer(answer=Answer.MATCHED if value else Answer.UNMATCHED)


def fault(expression: str) -> str | None:
    """What keeps an expression from being published: it is compiled, and tried on a sample."""
    try:
        program = _compiled(expression)
    except ValueError as error:
        return f"It does not compile: {_short(error)}"
    bound = set(_BOUND.findall(expression))
    unknown = [name for name in program.variables() if name != VARIABLE and name not in bound]
    if unknown:
        return f"It uses {', '.join(unknown)}; a rule sees only {VARIABLE!r}."
    try:
        value = program.execute(_sample())
    except (KeyError, RuntimeError, TypeError) as error:
        return _readable(error)
    except _FAILURES:
        return None  # such as an index beyond the sample's lists: a real plan may have it
    return None if isinstance(value, bool) else _not_a_bool(value)


@lru_cache(maxsize=4_096)
def _compiled(expression: str) -> cel.Program:
    return cel.compile(expression)


def _not_a_bool(value: object) -> str:
    return f"It gives {type(value).__name__}, and a rule gives true or false."


def _readable(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"There is no field {error.args[0]!r} where it looks for one."
    return _short(error)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:MAX_MESSAGE]


@cache
def _sample() -> cel.Context:
    """A plan in which no list is empty, so that every field is there to be tried."""
    digest = "sha256:" + "0" * 64
    pipeline = expand_pipeline(
        {
            "apiVersion": "animus/v1",
            "pipeline": "sample",
            "image": f"registry/image@{digest}",
            "steps": {
                "a": {"run": "x", "out": "o"},
                "b": {
                    "run": "x", "in": "a.o", "data": "d", "out": "o", "env": {"K": "v"},
                    "egress": "host:443", "secrets": {"s": "path"},
                },
            },
        }
    )  # fmt: skip
    spec = RunSpec.model_validate(
        {
            "classification": "production",
            "pipeline_digest": digest,
            "datasets": [{"alias": "d", "digest": digest}],
            "code": {"repo_url": "r", "commit": "0" * 40, "state": "claimed"},
            "parameters": {"p": 1},
        }
    )
    execution = Execution(executor="container", runtime="runc")
    body = draft(spec, Facts(pipeline=pipeline, lock=None, execution=execution))
    return context_of(policy_input(body))
