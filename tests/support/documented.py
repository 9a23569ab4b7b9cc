"""Command lines that README and docs show: found in their text, as a shell would take them."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
PROGRAMS = ("animus", "animusd", "make")
REDIRECTIONS = ("<", ">", "|")

_PROGRAM = "|".join(PROGRAMS)
_PROMPT = r"(?:[a-z]*\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?"
_TYPED = re.compile(rf"^ *{_PROMPT}((?:{_PROGRAM}) \S.*)$")
_MENTIONED = re.compile(rf"`((?:{_PROGRAM})\s[^`]+)`")
_FENCE = re.compile(r"^```")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One command line, with every alternative of `a|b` a line of its own."""

    page: str
    program: str
    words: tuple[str, ...]
    is_typed: bool
    """It stands in a block of code, whole; else it is mentioned, perhaps without what it needs."""

    @property
    def line(self) -> str:
        return f"{self.page}: {shlex.join((self.program, *self.words))}"


def commands_shown() -> list[Shown]:
    return [shown for page in PAGES for shown in _of_page(page)]


def words_of(text: str) -> Iterator[tuple[str, ...]]:
    """Without a comment, an ellipsis for more of the same, what the shell takes for itself, and
    the brackets around what may be left out."""
    plain = re.sub(r"\[([^\]]+)\]", r"\1", text.replace("\\|", "|"))
    words = shlex.split(re.sub(r" …(?= |$)", "", plain), comments=True)
    own = itertools.takewhile(lambda word: word not in REDIRECTIONS, words)
    yield from itertools.product(*(_alternatives(word) for word in own))


def _alternatives(word: str) -> list[str]:
    return word.split("|") if re.fullmatch(r"[a-z|-]+", word) else [word]


def _of_page(page: Path) -> Iterator[Shown]:
    name, text = str(page.relative_to(ROOT)), page.read_text()
    for line in _code_lines(text):
        found = _TYPED.match(line)
        if found:
            yield from _shown(name, found[1], is_typed=True)
    for mentioned in _MENTIONED.findall(text):
        yield from _shown(name, " ".join(mentioned.split()), is_typed=False)


def _shown(page: str, text: str, *, is_typed: bool) -> Iterator[Shown]:
    for program, *words in words_of(text):
        yield Shown(page=page, program=program, words=tuple(words), is_typed=is_typed)


def _code_lines(text: str) -> Iterator[str]:
    """Of fenced and of indented blocks; one that ends with a backslash goes on in the next."""
    is_fenced = False
    for line in text.replace("\\\n", " ").splitlines():
        if _FENCE.match(line):
            is_fenced = not is_fenced
        elif is_fenced or line.startswith("    "):
            yield line
