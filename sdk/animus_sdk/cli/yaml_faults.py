"""What PyYAML finds wrong in a file, in words for whoever wrote it, at the place to look at."""

from __future__ import annotations

import difflib
import re

import yaml

from animus_sdk.cli.excerpts import Place, lines_of
from animus_sdk.printable import printable

_ANCHOR = re.compile(r"(?:^|[\s\[{,:])&([^\s,\[\]{}]+)")
_WORDS: tuple[tuple[str, str], ...] = (
    (r"found character '\\t' that cannot start any token",
     "a tab can't indent YAML: write spaces"),
    (r"but found another document",
     "a second document begins here ('---'), and a file holds one"),
    (r"mapping values are not allowed here",
     "a ':' makes no key here: look at the indentation, or put the text in quotes"),
    (r"expected <block end>, but found .*",
     "the indentation does not fit what stands above it"),
    (r"could not find expected ':'",
     "a key ends here without its ':'"),
    (r"found character '([@`%])' that cannot start any token",
     "text that begins with '{0}' stands in quotes"),
    (r"expected ',' or '([\]}])', but got .*",
     "a ',' or the closing '{0}' is missing before this"),
)  # fmt: skip
_UNCLOSED = "found unexpected end of stream"
_ALIAS = re.compile(r"found undefined alias '(.*)'", re.DOTALL)


def explain_yaml(error: yaml.YAMLError, text: str) -> tuple[str, Place | None]:
    """Why the file can't be read, and where; without a place where PyYAML says none."""
    if isinstance(error, yaml.reader.ReaderError):
        at = place_in(text, error.position)
        return f"the character U+{_number(error.character):04X} may not stand in YAML", at
    if not isinstance(error, yaml.MarkedYAMLError):
        return "this is not YAML", None
    problem = error.problem or "this is not YAML"
    mark = error.problem_mark or error.context_mark
    if problem == _UNCLOSED and error.context_mark is not None:
        return "the quote that begins here is not closed", _at(error.context_mark)
    return _plain(problem, text), _at(mark) if mark is not None else None


def place_in(text: str, position: int) -> Place:
    before = lines_of(text[:position])
    return Place(line=len(before), column=len(before[-1]) + 1)


def _plain(problem: str, text: str) -> str:
    for pattern, words in _WORDS:
        if (found := re.fullmatch(pattern, problem)) is not None:
            return words.format(*found.groups())
    if (alias := _ALIAS.fullmatch(problem)) is not None:
        return _unknown_alias(alias[1], _ANCHOR.findall(text))
    return printable(problem)


def _unknown_alias(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '*{printable(near[0])}'?" if near else ""
    return f"nothing above is called &{printable(name)}.{hint}".removesuffix(".")


def _at(mark: yaml.Mark) -> Place:
    return Place(line=mark.line + 1, column=mark.column + 1)


def _number(character: str | int) -> int:
    return character if isinstance(character, int) else ord(character)
