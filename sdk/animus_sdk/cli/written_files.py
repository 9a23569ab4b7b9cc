"""Files that people write, in YAML or JSON, with the line and column of everything in them.

YAML 1.2's core types, as people expect them: `no` and `2024-01-01` are text, and `0777` is 777.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from animus_sdk.errors import FileUnfit
from animus_sdk.printable import printable

MAX_BYTES = 1024 * 1024
MAX_NODES = 50_000
"""Counted with repetitions: aliases could make a small file a huge document."""
MAX_DEPTH = 64
STDIN = "-"

_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


_IMPLICIT = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ["map", "seq", "str", "null", "bool", "int", "float", "timestamp", "merge", "value"]
)
"""What PyYAML resolves by itself; every other tag was written, and means nothing here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFile:
    name: str
    """As the person said it."""
    value: dict[str, Any]
    places: Mapping[str, Place]
    """By JSON pointer."""

    def place_of(self, pointer: str) -> Place:
        """Of the thing itself, or of the nearest thing around it."""
        while pointer:
            if pointer in self.places:
                return self.places[pointer]
            pointer = pointer.rpartition("/")[0]
        return self.places.get("", Place(line=1, column=1))


def read_written_file(path: str) -> WrittenFile:
    """Raises `FileUnfit` with the place, for everything that is no mapping in YAML or JSON."""
    content = _read(path)
    name = "standard input" if path == STDIN else printable(path)
    try:
        node = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _unreadable(name, error) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise FileUnfit(f"{name} is not YAML or JSON in UTF-8.", code="usage") from None
    if not isinstance(node, yaml.MappingNode):
        raise FileUnfit(f"{name}:1:1: this is no mapping of keys to values.", code="usage")
    reader = _Reader(name)
    value = reader.read(node, "", 1)
    return WrittenFile(name=name, value=value, places=reader.places)


class _Reader:
    """From YAML's nodes to JSON values; remembers where each began."""

    def __init__(self, name: str) -> None:
        self.places: dict[str, Place] = {}
        self._name = name
        self._nodes = 0

    def read(self, node: yaml.Node, pointer: str, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise self._refuse(node, "the file is too large or too deep")
        if node.tag not in _IMPLICIT:
            raise self._refuse(node, f"the tag {printable(node.tag)!r} is not known here")
        self.places.setdefault(pointer, _place(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, pointer, depth)
        if isinstance(node, yaml.SequenceNode):
            return [
                self.read(item, f"{pointer}/{index}", depth + 1)
                for index, item in enumerate(node.value)
            ]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, pointer: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._refuse(key_node, "a key must be plain text")
            key = key_node.value
            if key in found:
                raise self._refuse(key_node, f"the key {printable(key)!r} is there twice")
            below = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            self.places[below] = _place(key_node)
            found[key] = self.read(value_node, below, depth + 1)
        return found

    def _scalar(self, node: yaml.Node) -> Any:
        text = str(node.value)
        quoted = getattr(node, "style", None) is not None
        return text if quoted else self._plain(node, text)

    def _plain(self, node: yaml.Node, text: str) -> Any:
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            if len(text) > 17:
                raise self._refuse(node, "the number is too large; write it in quotes")
            return int(text)
        if _BASED.fullmatch(text):
            return int(text[2:17], 8 if text[1] == "o" else 16)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if not math.isfinite(number):
                raise self._refuse(node, "the number is too large; write it in quotes")
            return number
        return text

    def _refuse(self, node: yaml.Node, why: str) -> FileUnfit:
        place = _place(node)
        return FileUnfit(f"{self._name}:{place.line}:{place.column}: {why}.", code="usage")


def parse_value(text: str) -> Any:
    """A value of a command line: JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and the infinities are no JSON


def _place(node: yaml.Node) -> Place:
    mark = node.start_mark
    return Place(line=mark.line + 1, column=mark.column + 1)


def _read(path: str) -> bytes:
    try:
        if path == STDIN:
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileUnfit(f"Cannot read {printable(path)}: {error.strerror}.", code="usage") from None
    if len(content) > MAX_BYTES:
        raise FileUnfit(f"{printable(path)} has more than {MAX_BYTES} bytes.", code="usage")
    return content


def _unreadable(name: str, error: yaml.MarkedYAMLError) -> FileUnfit:
    mark = error.problem_mark or error.context_mark
    at = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
    return FileUnfit(f"{name}{at}: {printable(error.problem or 'not YAML')}.", code="usage")
