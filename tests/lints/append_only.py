"""append-only: no UPDATE or DELETE in code on a table that the list protects from it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from sqlmodel import SQLModel

import animus.store.tables as tables
from animus.store.protection import PROTECTIONS, Kind
from tests.lints.findings import Finding, Source, called_name

CODE = "append-only"
FOLDERS = ("animus/store",)
_KINDS = {protection.table: protection.kind for protection in PROTECTIONS}
_ALLOWED = {
    "update": {Kind.TRANSITION, Kind.REVOCABLE, Kind.DISPOSABLE},
    "delete": {Kind.DISPOSABLE},
}
_RAW = re.compile(r"\b(UPDATE|DELETE\s+FROM|TRUNCATE)\s+(?:TABLE\s+)?([a-z_]+)", re.IGNORECASE)


def kind_of(class_name: str) -> Kind | None:
    found = getattr(tables, class_name, None)
    if isinstance(found, type) and issubclass(found, SQLModel):
        return _KINDS.get(str(found.__tablename__))
    return None


def check(source: Source) -> Iterator[Finding]:
    if "/migrations/" in source.path:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and not source.skips(node, CODE):
            yield from _built(source, node)
        elif isinstance(node, ast.Constant) and not source.skips(node, CODE):
            yield from _raw(source, node)


def _built(source: Source, call: ast.Call) -> Iterator[Finding]:
    verb = called_name(call)
    if verb in _ALLOWED and call.args and isinstance(call.args[0], ast.Name):
        kind = kind_of(call.args[0].id)
        if kind is not None and kind not in _ALLOWED[verb]:
            yield _finding(source, call.lineno, f"{verb} on {call.args[0].id}, which is {kind}")


def _raw(source: Source, constant: ast.Constant) -> Iterator[Finding]:
    if isinstance(constant.value, str):
        for match in _RAW.finditer(constant.value):
            allowed = _ALLOWED.get(match[1].split()[0].lower(), set())
            if _KINDS.get(match[2].lower(), Kind.DISPOSABLE) not in {*allowed, Kind.DISPOSABLE}:
                yield _finding(source, constant.lineno, f"raw {match[1]} on {match[2]}")


def _finding(source: Source, line: int, message: str) -> Finding:
    return Finding(path=source.path, line=line, code=CODE, message=message)
