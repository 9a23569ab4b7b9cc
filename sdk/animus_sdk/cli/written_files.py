"""Files that people write, in YAML or JSON, with the line and column of everything in them.

YAML 1.2's core types, as people expect them: `no` and `2024-01-01` are text, and `0777` is 777.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from animus_sdk.cli.excerpts import Place, excerpt, lines_of
from animus_sdk.cli.yaml_faults import explain_yaml, place_in
from animus_sdk.errors import FileUnfit
from animus_sdk.printable import printable

MAX_BYTES = 1024 * 1024
MAX_NODES = 50_000
"""Counted with repetitions: aliases could make a small file a huge document."""
MAX_DEPTH = 64
STDIN = "-"
_FIRST = Place(line=1, column=1)
_MERGE = "tag:yaml.org,2002:merge"

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
class WrittenFile:
    name: str
    """As the person said it."""
    value: dict[str, Any]
    places: Mapping[str, Place]
    """By JSON pointer."""
    lines: Sequence[str] = field(default=(), repr=False)
    """As they are in the file; none where there is no file."""

    def place_of(self, pointer: str) -> Place:
        """Of the thing itself, or of the nearest thing around it."""
        while pointer:
            if pointer in self.places:
                return self.places[pointer]
            pointer = pointer.rpartition("/")[0]
        return self.places.get("", _FIRST)


class FileFault(FileUnfit):
    """A file that can't be read as a mapping, for what stands at one place in it."""

    default_code = "usage"

    def __init__(self, why: str, *, name: str, lines: Sequence[str], at: Place) -> None:
        super().__init__(f"{name}:{at.line}:{at.column}: {why}{'' if why.endswith('?') else '.'}")
        self._why = why
        self._name = name
        self._lines = lines
        self._at = at

    def excerpt(self) -> list[str]:
        return excerpt(self._lines, self._at)

    def problem(self) -> dict[str, Any]:
        place = {"file": self._name, "line": self._at.line, "column": self._at.column}
        return {**super().problem(), "errors": [{**place, "message": self._why, "code": "syntax"}]}


def read_written_file(path: str) -> WrittenFile:
    """Raises `FileUnfit` for everything that is no mapping in YAML or JSON, with its place."""
    content = _read(path)
    name = "standard input" if path == STDIN else printable(path)
    text = _decode(content, name)
    lines = lines_of(text)
    try:
        node = yaml.compose(_yaml_of(text), Loader=yaml.SafeLoader)
    except RecursionError:
        raise FileUnfit(f"{name} is nested too deep to be read.", code="usage") from None
    except yaml.YAMLError as error:
        why, at = explain_yaml(error, text)
        raise FileFault(why, name=name, lines=lines, at=at or _FIRST) from None
    if not isinstance(node, yaml.MappingNode):
        why = "this is no mapping of keys to values" if node else "there is nothing in this file"
        raise FileFault(why, name=name, lines=lines, at=_FIRST)
    reader = _Reader(name, lines)
    value = reader.read(node, "", 1)
    return WrittenFile(name=name, value=value, places=reader.places, lines=lines)


def _decode(content: bytes, name: str) -> str:
    """UTF-8, with or without a byte order mark; UTF-16 with one, as YAML has it."""
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        text = content[: error.start].decode("utf-16" if is_utf_16 else "utf-8-sig", "replace")
        at = place_in(text, len(text))
        why = "this byte is no text in UTF-8: save the file as UTF-8"
        raise FileFault(why, name=name, lines=lines_of(text), at=at) from None


def _yaml_of(text: str) -> str:
    """JSON may be indented with tabs, which YAML may not; within its strings there is none."""
    if "\t" not in text or not text.lstrip().startswith("{"):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text.replace("\t", " ")


class _Reader:
    """From YAML's nodes to JSON values; remembers where each began."""

    def __init__(self, name: str, lines: Sequence[str]) -> None:
        self.places: dict[str, Place] = {}
        self._name = name
        self._lines = lines
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
            if key_node.tag == _MERGE:
                raise self._refuse(key_node, "'<<' means nothing here: write the keys themselves")
            if key in found:
                first = self.places[_below(pointer, key)].line
                why = f"the key {printable(key)!r} is there twice, first in line {first}"
                raise self._refuse(key_node, why)
            below = _below(pointer, key)
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

    def _refuse(self, node: yaml.Node, why: str) -> FileFault:
        return FileFault(why, name=self._name, lines=self._lines, at=_place(node))


def _below(pointer: str, key: str) -> str:
    return f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"


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
