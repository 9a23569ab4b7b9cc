"""Takes the values of a step's secrets out of what main says: as they are, in base64, in URLs, in
JSON. What main encodes in a way of its own is not recognised.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import replace
from urllib.parse import quote, quote_plus

from animus.domain.secrets import SecretValue
from animus.ports import AttemptEnd

MIN_BYTES = 4
"""Shorter values, and shorter lines of values, are in too many words to be taken out of them."""
MASK = b"[redacted]"
_WRAPPED = (64, 76)
"""Columns at which programs break base64: openssl's, and everybody else's."""
_WRAPPED_LEAST = 8
_HEAD = 8
"""Bytes of each form that a line is searched for first."""


class Redactor:
    """Made from the values, and never shows them.

    `knows_all` is False where main was given values that nobody here knows: then nothing that it
    says is safe, and who keeps or shows it leaves it out.
    """

    def __init__(self, values: Iterable[SecretValue] = (), *, knows_all: bool = True) -> None:
        self.knows_all = knows_all
        forms = {form for value in values for form in _forms(value.reveal())}
        self._forms = sorted(form for form in forms if len(form) >= MIN_BYTES)
        self._longest = max(map(len, self._forms), default=0)
        heads = sorted({form[:_HEAD] for form in self._forms})
        self._beginning = re.compile(b"|".join(map(re.escape, heads))) if heads else None

    def line(self, content: bytes) -> bytes:
        """A whole line, without its end."""
        spans = self._find(content)
        return _masked(content, spans) if spans else content

    def part(self, content: bytes) -> tuple[bytes, bytes]:
        """Of a line that goes on: what can be shown of it, and the rest, which a value may begin
        in. The rest stands before what comes next."""
        spans = self._find(content)
        cut = len(content) - max(self._longest - 1, 0)
        for begin, end in spans:
            if begin < cut < end:  # a row of values in each other might never end
                cut = end if end - begin > self._longest else begin
                break
        if cut <= 0:
            return b"", content
        return _masked(content[:cut], [span for span in spans if span[1] <= cut]), content[cut:]

    def text(self, text: str) -> str:
        return self.line(text.encode(errors="surrogateescape")).decode(errors="surrogateescape")

    def end(self, end: AttemptEnd) -> AttemptEnd:
        """Of a failure's sentence, which may quote what main wrote."""
        if end.failure is None:
            return end
        message = self.text(end.failure.message)
        return replace(end, failure=end.failure.model_copy(update={"message": message}))

    def _find(self, content: bytes) -> list[tuple[int, int]]:
        """Where there is something to hide; what overlaps is one."""
        if self._beginning is None or self._beginning.search(content) is None:
            return []  # as it is with most lines, and far faster seen
        found = sorted(span for form in self._forms for span in _places(form, content))
        merged: list[tuple[int, int]] = []
        for begin, end in found:
            if merged and begin < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((begin, end))
        return merged


def _places(form: bytes, content: bytes) -> Iterator[tuple[int, int]]:
    """All of them, also where one begins within another; of a row that repeats itself, the row."""
    begin, period = content.find(form), b""
    while begin >= 0:
        period = period or form[-_period_of(form) :]
        end = begin + len(form)
        while len(period) < len(form) and content.startswith(period, end):
            end += len(period)
        yield begin, end
        begin = content.find(form, end - len(form) + 1)


def _period_of(form: bytes) -> int:
    """By how many bytes it must at least be moved to lie on itself: all where it never does."""
    moved = form.find(form[:_HEAD], 1)
    while moved > 0 and not form.startswith(form[moved:]):
        moved = form.find(form[:_HEAD], moved + 1)
    if moved > 0:
        return moved
    ends = range(max(1, len(form) - _HEAD + 1), len(form))
    return next((moved for moved in ends if form.startswith(form[moved:])), len(form))


def _masked(content: bytes, spans: list[tuple[int, int]]) -> bytes:
    shown, after = [], 0
    for begin, end in spans:
        shown += [content[after:begin], MASK]
        after = end
    return b"".join([*shown, content[after:]])


def _forms(value: bytes) -> Iterator[bytes]:
    """How a value may be printed. A log has lines: so has the value."""
    for line in value.split(b"\n"):
        yield from (line, line.strip())
    for text in {value, value.strip()}:
        if len(text) >= MIN_BYTES:
            yield text
            yield from _in_urls(text)
            yield from _in_json(text)
            yield from _in_base64(text)


def _in_urls(value: bytes) -> Iterator[bytes]:
    for written in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield written.encode()
        yield _with_small_digits(written).encode()


def _with_small_digits(written: str) -> str:
    first, *others = written.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in others)])


def _in_json(value: bytes) -> Iterator[bytes]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return
    for is_ascii in (True, False):
        yield json.dumps(text, ensure_ascii=is_ascii)[1:-1].encode()


def _in_base64(value: bytes) -> Iterator[bytes]:
    """As a whole, broken into lines, and within something longer that begins up to two bytes
    before it, such as `user:value`: of that the digits that the value alone decides."""
    for alphabet in (None, b"-_"):
        whole = b64encode(value, alphabet)
        yield whole
        yield whole.rstrip(b"=")
        for width in _WRAPPED:
            pieces = (whole[at : at + width] for at in range(0, len(whole), width))
            yield from (piece for piece in pieces if len(piece) >= _WRAPPED_LEAST)
        for before in range(3):
            bits_before, bits = 8 * before, 8 * (before + len(value))
            digits = b64encode(bytes(before) + value, alphabet)
            yield digits[-(-bits_before // 6) : bits // 6]
