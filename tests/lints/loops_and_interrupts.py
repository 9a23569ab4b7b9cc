"""loops-and-interrupts: no loop directly in a block that handles Ctrl+C.

CPython 3.12 and 3.13 may leave a loop's jump back out of the block that it stands in, and Ctrl+C is
seen at that jump: neither `except` nor `__exit__` is run. Python issues 108214 and 130279. A loop
in a function that the block calls is safe.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeGuard

from tests.lints.findings import Finding, Source, called_name, calls

CODE = "loops-and-interrupts"
FOLDERS = ("sdk/animus_sdk", "deploy", "animusd")
_HANDLERS = {"if_interrupted"}
_INTERRUPTS = {"KeyboardInterrupt", "BaseException"}
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def check(source: Source) -> Iterator[Finding]:
    for block in ast.walk(source.tree):
        if _handles_interrupts(block) and not source.skips(block, CODE):
            for loop in _loops(block.body):
                yield Finding(
                    path=source.path, line=loop.lineno, code=CODE,
                    message="call a function that has this loop",
                )  # fmt: skip


def _handles_interrupts(block: ast.AST) -> TypeGuard[ast.With | ast.Try]:
    match block:
        case ast.With(items=items):
            opened = (call for item in items for call in calls(item.context_expr))
            return any(called_name(call) in _HANDLERS for call in opened)
        case ast.Try(handlers=handlers):
            return any(one.type is None or _names(one.type) & _INTERRUPTS for one in handlers)
        case _:
            return False


def _names(caught: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(caught) if isinstance(node, ast.Name)}


def _loops(statements: list[ast.stmt]) -> Iterator[ast.stmt | ast.expr]:
    left: list[ast.AST] = [*statements]
    while left:
        node = left.pop()
        if isinstance(node, _LOOPS):
            yield node
        elif not isinstance(node, _FUNCTIONS):
            left += ast.iter_child_nodes(node)
