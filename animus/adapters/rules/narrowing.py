"""Which fields of steps a rule can see, told from its text. Decides nothing: a rule that is not
understood here sees the whole plan.

The library copies `plan.steps` with everything in it at each mention: milliseconds for a hundred
steps. A rule that takes a step's fields by name, and never a step as a whole, cannot tell whether
there are others; so they need not be there to be copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

PLAN, STEPS = "plan", "steps"

_BINDING = frozenset({"all", "exists", "exists_one", "map"})
"""Macros that name an element and give no element back, as `filter` does."""
_KEYWORDS = frozenset({"true", "false", "null", "in"})
_TOKEN = re.compile(
    r"""
    "[^"\\\n]*" | '[^'\\\n]*'
    | [A-Za-z_][A-Za-z0-9_]*
    | [0-9]+ (?:\.[0-9]+)?
    | /(?!/) | [-.,()\[\]<>=!&|+*%?:]
    """,
    re.VERBOSE,
)
"""Of the plain part of the language: without escapes, raw strings, comments and maps."""
_BESIDE = ("",) * 5  # so that every token has its neighbours
_THREE_QUOTES = ('"' * 3, "'" * 3)


class _NotUnderstood(Exception):
    pass


def narrowed(plan: dict[str, Any], expressions: Iterable[str]) -> dict[str, Any]:
    """The plan with what these expressions can see of its steps; each of them is understood."""
    seen = frozenset(name for one in expressions for name in fields_seen(one) or ())
    steps = [{name: step[name] for name in seen & step.keys()} for step in plan[STEPS]]
    return {**plan, STEPS: steps}


@lru_cache(maxsize=4_096)
def fields_seen(expression: str) -> frozenset[str] | None:
    """Every name that is selected of anything; None where a step may be seen as a whole.

    No value is ever the plan, its steps or one of them, nor has one of them a method called: the
    plan and what a macro binds of `steps` are followed by a field each time, and `steps` by such a
    macro or by its size.
    """
    if any(quotes in expression for quotes in _THREE_QUOTES) or _TOKEN.sub("", expression).split():
        return None
    tokens = [*_BESIDE, *_TOKEN.findall(expression), *_BESIDE]
    try:
        return frozenset(_selected(tokens))
    except _NotUnderstood:
        return None


def _selected(tokens: Sequence[str]) -> Iterator[str]:
    binders = [at for at in range(len(tokens)) if _is_binder(tokens, at)]
    bound = {tokens[at] for at in binders}
    steps = {PLAN, *(tokens[at] for at in binders if tokens[at - 4] == STEPS)}
    for at, token in enumerate(tokens):
        if token == "." and not _is_value(tokens[at - 1]):
            raise _NotUnderstood  # a dot that begins an absolute name
        if not _is_name(token) or token in _KEYWORDS:
            continue
        if tokens[at - 1] == ".":
            _check_selection(tokens, at)
            yield token
        elif at in binders or tokens[at + 1] == "(":
            continue
        elif token in steps:
            _check_is_selected_of(tokens, at)
        elif token not in bound:
            raise _NotUnderstood


def _check_selection(tokens: Sequence[str], at: int) -> None:
    """The steps are counted, or walked; they are no value for anything else."""
    if tokens[at] != STEPS:
        return
    dot, name, opening, closing = tokens[at + 1 : at + 5]
    is_counted = (name, closing) == ("size", ")")
    is_walked = name in _BINDING and _is_binder(tokens, at + 4)
    if (dot, opening) != (".", "(") or not (is_counted or is_walked):
        raise _NotUnderstood


def _check_is_selected_of(tokens: Sequence[str], at: int) -> None:
    dot, field, after = tokens[at + 1 : at + 4]
    if dot != "." or not _is_name(field) or after == "(":
        raise _NotUnderstood


def _is_binder(tokens: Sequence[str], at: int) -> bool:
    if not _is_name(tokens[at]) or tokens[at] == PLAN:
        return False
    dot, macro, opening, _, comma = tokens[at - 3 : at + 2]
    return (dot, opening, comma) == (".", "(", ",") and macro in _BINDING


def _is_name(token: str) -> bool:
    return token.isidentifier()


def _is_value(token: str) -> bool:
    """Whether what ends in this token is a value that a field can be selected of."""
    return token not in _KEYWORDS and (_is_name(token) or token[-1:] in (")", "]", '"', "'"))
