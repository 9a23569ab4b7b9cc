"""What the lints share: parsed sources, findings, and the escape that needs a reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SKIP = re.compile(r"#\s*lint-skip:\s*(?P<code>[a-z-]+):\s*\S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    path: str
    """Relative to the repository."""
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def skips(self, node: ast.AST, code: str) -> bool:
        """Whether the lines of `node` carry `# lint-skip: <code>: <reason>`."""
        lines = self.text.splitlines()
        first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", len(lines))
        said = (_SKIP.search(line) for line in lines[max(0, first - 2) : last])
        return any(match is not None and match["code"] == code for match in said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    path: str
    line: int
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.code}: {self.message}"


def sources(*folders: str) -> Iterator[Source]:
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield Source(path=str(file.relative_to(ROOT)), text=file.read_text())


def called_name(node: ast.Call) -> str:
    """`f` for f(...), `commit` for x.commit(...)."""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))
