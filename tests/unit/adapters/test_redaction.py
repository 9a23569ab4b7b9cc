"""What is taken out of a log: the values of secrets, however main printed them."""

from __future__ import annotations

import io
import json
from base64 import b64encode, encodebytes, urlsafe_b64encode
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animus.adapters.steps.failures import user_failure
from animus.adapters.steps.logs import MAX_LINE_BYTES, Piece, write_log
from animus.adapters.steps.redaction import MASK, MIN_BYTES, Redactor, _places
from animus.domain.secrets import SecretValue
from animus.ports import AttemptEnd

VALUE = b"p@ss w/rd?>>\xc3\xbc~1"
TIME = "2026-01-02T03:04:05.678Z"


def redactor_of(*values: bytes) -> Redactor:
    return Redactor(SecretValue(value) for value in values)


FORMS = {
    "as it is": VALUE,
    "base64": b64encode(VALUE),
    "base64 for URLs": urlsafe_b64encode(VALUE),
    "base64 without padding": b64encode(VALUE).rstrip(b"="),
    "a URL's part": quote(VALUE, safe="").encode(),
    "a URL's path": quote(VALUE).encode(),
    "a form": quote_plus(VALUE).encode(),
    "a URL with small digits": quote(VALUE, safe="").replace("%C3%BC", "%c3%bc")
    .replace("%3F%3E%3E", "%3f%3e%3e").replace("%2F", "%2f").encode(),
    "JSON": json.dumps(VALUE.decode())[1:-1].encode(),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_value_is_masked_in_every_form_that_programs_print(form: bytes) -> None:
    assert redactor_of(VALUE).line(b"it is " + form + b"!") == b"it is " + MASK + b"!"


@pytest.mark.parametrize("before", [b"", b"u", b"user:", b"no user:"])
@pytest.mark.parametrize("after", [b"", b"\n", b"@host"])
def test_of_base64_of_something_longer_no_more_than_the_edges_of_a_value_are_left(
    before: bytes, after: bytes
) -> None:
    said = b64encode(before + VALUE + after)
    left = redactor_of(VALUE).line(said)
    assert MASK in left
    assert len(left.replace(MASK, b"")) <= len(b64encode(before)) + len(b64encode(after)) + 4


def test_base64_that_is_broken_into_lines_is_masked_in_each() -> None:
    value = bytes(range(33, 126)) * 3
    for line in encodebytes(value).splitlines():
        assert redactor_of(value).line(line) == MASK


def test_each_line_of_a_value_of_several_lines_is_masked() -> None:
    key = b"-----BEGIN KEY-----\r\nabcdefgh\r\n  ijkl\r\nxyz\r\n-----END KEY-----\n"
    redactor = redactor_of(key)
    said = [redactor.line(line) for line in key.splitlines()]
    assert said == [MASK, MASK, b"  " + MASK, b"xyz", MASK]
    assert redactor.line(b"got ijkl") == b"got " + MASK


def test_too_short_a_value_is_left() -> None:
    assert redactor_of(b"abc").line(b"abc abcd") == b"abc abcd"
    assert redactor_of(b"abcd").line(b"abc abcd") == b"abc " + MASK
    assert MIN_BYTES == 4


def test_values_that_overlap_are_masked_as_one() -> None:
    assert redactor_of(b"abcdef", b"defghi").line(b"-abcdefghi-") == b"-" + MASK + b"-"
    assert redactor_of(b"aaaa").line(b"aaaaaa") == MASK
    assert redactor_of(b"abcd", b"abcdefgh").line(b"abcdefgh") == MASK


def test_without_secrets_nothing_is_changed() -> None:
    assert Redactor().line(VALUE) == VALUE
    assert Redactor().part(VALUE) == (VALUE, b"")


@given(
    value=st.binary(min_size=4, max_size=40),
    before=st.binary(max_size=60),
    after=st.binary(max_size=60),
    at=st.integers(min_value=0, max_value=160),
)
def test_a_value_does_not_pass_where_a_line_is_broken(
    value: bytes, before: bytes, after: bytes, at: int
) -> None:
    redactor, line = redactor_of(value), before + value + after
    shown, rest = redactor.part(line[:at])
    said = shown + b"|" + redactor.line(rest + line[at:])
    plain = [piece for piece in said.replace(MASK, b"|").split(b"|") if value in piece]
    assert plain == []


def test_a_value_across_the_bound_of_a_line_does_not_reach_the_log() -> None:
    for shift in range(1, len(VALUE) + 1):
        content = b"x" * (MAX_LINE_BYTES - shift) + VALUE + b"y" * 1000 + b64encode(VALUE)
        pieces = [
            Piece(TIME, "out", content[at : at + 8_192], True)
            for at in range(0, len(content), 8_192)
        ]
        text = stored([*pieces, Piece(TIME, "out", b"", False)], VALUE)
        words = [line.split(b" ", 2)[2] for line in text.splitlines()]
        together = b"".join(words)
        assert together.count(MASK) == 2
        assert together.replace(MASK, b"") == b"x" * (MAX_LINE_BYTES - shift) + b"y" * 1000


def test_a_value_in_parts_of_a_line_is_put_together_first() -> None:
    half = len(VALUE) // 2
    pieces = [
        Piece(TIME, "out", VALUE[:half], True),
        Piece(TIME, "err", VALUE, False),
        Piece(TIME, "out", VALUE[half:], False),
    ]
    mask = MASK.decode()
    assert stored(pieces, VALUE).decode() == f"{TIME} err {mask}\n{TIME} out {mask}\n"


def test_what_is_unsafe_to_print_is_masked_before_it_is_written_out() -> None:
    value = b"\x1b[31mred\xff"
    assert (
        stored([Piece(TIME, "out", value, False)], value) == f"{TIME} out ".encode() + MASK + b"\n"
    )


def test_a_failure_that_quotes_main_does_not_quote_a_value() -> None:
    failure = user_failure("exit_code", f"exited: {VALUE.decode()}")
    end = AttemptEnd(finished_at=datetime.now(UTC), failure=failure)
    masked = redactor_of(VALUE).end(end).failure
    assert masked is not None
    assert masked.message == f"exited: {MASK.decode()}"


def test_a_value_shows_itself_in_no_text() -> None:
    value = SecretValue(b"canary")
    for text in (repr(value), str(value), f"{value}", f"{[value]!r}", f"{ ({'a': value}) }"):
        assert "canary" not in text


def stored(pieces: list[Piece], *values: bytes) -> bytes:
    sink = io.BytesIO()
    write_log(pieces, sink, limit=16 * MAX_LINE_BYTES, redactor=redactor_of(*values))
    return sink.getvalue()


@pytest.mark.parametrize("value", [b"a" * 8, b"abca", b"ab" * 500, b"aab" * 3 + b"aa"])
def test_of_values_in_each_other_without_end_no_more_is_held_than_of_one(value: bytes) -> None:
    redactor, held, shown = redactor_of(value), b"", b""
    row = value * (100_000 // len(value))
    for _ in range(8):
        text, held = redactor.part(held + row)
        shown += text
        assert len(held) < len(row)
    assert value not in shown + redactor.line(held)


@given(st.text("ab", min_size=MIN_BYTES, max_size=9), st.text("ab", max_size=60))
def test_no_place_of_a_value_is_missed_however_it_repeats(value: str, line: str) -> None:
    form, content = value.encode(), line.encode()
    found = {at for begin, end in _places(form, content) for at in range(begin, end)}
    wanted = {
        at + n
        for at in range(len(content))
        if content.startswith(form, at)
        for n in range(len(form))
    }
    assert found == wanted
