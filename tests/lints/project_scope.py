"""project-scope: every query on a project's table is limited to the project, or says why not."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from sqlmodel import SQLModel

import animus.store.tables as tables
from tests.lints.findings import Finding, Source, called_name, calls

CODE = "project-scope"
FOLDERS = ("animus/store",)
_VERBS = ("select", "update", "delete")
_PLATFORM = frozenset({"principals", "audit_events"})
"""Tables of projects and of the platform at once: their `project_id` may be null."""


def project_tables() -> frozenset[str]:
    """Names of the classes whose rows belong to exactly one project."""
    found = (getattr(tables, name) for name in tables.__all__)
    return frozenset(
        table.__name__
        for table in found
        if issubclass(table, SQLModel)
        and "project_id" in table.model_fields
        and str(table.__tablename__) not in _PLATFORM
    )


def check(source: Source) -> Iterator[Finding]:
    scoped_tables, texts = project_tables(), _named_texts(source.tree)
    for function in _functions(source.tree):
        queried = {
            name
            for call in calls(function)
            if called_name(call) in _VERBS or _picks_unscoped(call, texts)
            for name in _tables_in(call, scoped_tables)
        }
        if queried and not _is_scoped(function) and not source.skips(function, CODE):
            yield Finding(
                path=source.path, line=function.lineno, code=CODE,
                message=f"{function.name} queries {', '.join(sorted(queried))} of any project",
            )  # fmt: skip


def _picks_unscoped(call: ast.Call, texts: Mapping[str, str]) -> bool:
    """`pick(Table, "...")` in plain SQL that does not begin with the project."""
    if called_name(call) != "pick" or len(call.args) < 2:
        return False
    return not _beginning(call.args[1], texts).startswith("project_id = %s")


def _beginning(where: ast.expr, texts: Mapping[str, str]) -> str:
    """What a text begins with: as it stands, by the module's name for it, or put together."""
    match where:
        case ast.Constant():
            return str(where.value)
        case ast.Name():
            return texts.get(where.id, "")
        case ast.BinOp(op=ast.Add()):
            return _beginning(where.left, texts)
        case _:
            return ""


def _named_texts(tree: ast.Module) -> Mapping[str, str]:
    """The module's constants that are texts."""
    return {
        target.id: str(node.value.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _tables_in(call: ast.Call, known: frozenset[str]) -> Iterator[str]:
    for argument in call.args:
        for node in ast.walk(argument):
            if isinstance(node, ast.Name) and node.id in known:
                yield node.id


def _is_scoped(function: ast.AST) -> bool:
    """Begins with `scoped(...)`, or compares some `project_id`, or joins on a scoped row."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and called_name(node) == "scoped":
            return True
        if isinstance(node, ast.Compare) and _names_project(node.left):
            return True
    return False


def _names_project(node: ast.expr) -> bool:
    return any(
        isinstance(inner, ast.Attribute) and inner.attr == "project_id" for inner in ast.walk(node)
    )
