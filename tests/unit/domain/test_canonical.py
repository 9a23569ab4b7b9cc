"""Canonical bytes: the vectors of RFC 8785, what the strict decoder refuses, and the way back."""

from __future__ import annotations

import struct
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from animus.domain.canonical import (
    EXPONENT_FROM,
    MAX_DEPTH,
    MAX_SAFE_INTEGER,
    canonical_bytes,
    check_canonicalisable,
    decode_strictly,
    pointer_token,
)
from animus.domain.errors import InvalidDocument

NUMBERS = {  # RFC 8785 appendix B
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
WHOLE = st.integers(min_value=-MAX_SAFE_INTEGER, max_value=MAX_SAFE_INTEGER)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda x: abs(x) <= MAX_SAFE_INTEGER or abs(x) >= EXPONENT_FROM
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | WHOLE | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def faults_of(text: str | bytes) -> list[str]:
    with pytest.raises(InvalidDocument) as refused:
        decode_strictly(text)
    return [fault.code for fault in refused.value.faults]


@pytest.mark.parametrize(("bits", "written"), NUMBERS.items())
def test_numbers_are_written_as_rfc_8785_writes_them(bits: str, written: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_bytes(number) == written.encode()


def test_keys_are_sorted_by_utf_16_code_units() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\xf6"]  # RFC 8785 section 3.2.3
    written = decode_strictly(canonical_bytes(dict.fromkeys(keys, 0)))
    assert list(written) == ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33"]


@given(VALUES)
def test_bytes_are_those_of_the_reference_implementation(value: Any) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [2**53, float("nan"), "\ud800", {1: 2}, [object()]])
def test_what_has_no_canonical_form_is_refused_as_the_reference_implementation_does(
    value: Any,
) -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical_bytes(value)


def test_text_is_escaped_only_where_it_must_be() -> None:
    assert canonical_bytes('€$\x0f\nA\'B"\\\\"/') == b'"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'


@given(VALUES)
def test_what_was_written_is_read_back(value: Any) -> None:
    assert decode_strictly(canonical_bytes(value)) == value


@given(VALUES)
def test_what_was_read_keeps_bytes_and_types_when_it_is_written_and_read_again(value: Any) -> None:
    first = decode_strictly(canonical_bytes(value))
    again = decode_strictly(canonical_bytes(first))
    assert canonical_bytes(again) == canonical_bytes(first)
    assert repr(again) == repr(first)


def test_a_whole_float_is_the_integer_that_canonical_bytes_make_of_it() -> None:
    read = decode_strictly('{"a": 1.0, "b": -0.0, "c": 1e3, "d": 1e21}')
    assert [type(v) for v in read.values()] == [int, int, int, float]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1,]", "{'a': 1}", "nul", "1 2", '"\x01"', "\ufeff{}", "01", "+1", ".5", "0x10"],
)
def test_what_is_not_json_is_refused(text: str) -> None:
    assert faults_of(text) == ["not_json"]


@pytest.mark.parametrize("text", ["NaN", "Infinity", "[-Infinity]", "1e400", "-1e400"])
def test_numbers_without_a_finite_value_are_refused(text: str) -> None:
    assert faults_of(text) == ["not_json"]


@pytest.mark.parametrize(
    "text", [str(2**53), str(-(2**53)), "9" * 5_000, "9007199254740993.0", "1e17", "9.99e20"]
)
def test_an_integer_that_is_not_exact_is_refused(text: str) -> None:
    with pytest.raises(InvalidDocument, match="Send it as a string"):
        decode_strictly(text)


@pytest.mark.parametrize("text", ["9007199254740991", "-9007199254740991", "1e21", "0.1"])
def test_the_largest_exact_numbers_are_accepted(text: str) -> None:
    decode_strictly(text)


def test_a_key_that_is_there_twice_is_named() -> None:
    with pytest.raises(InvalidDocument, match="'b' is there twice"):
        decode_strictly('{"a": {"b": 1, "c": 2, "b": 1}}')


def test_a_key_may_be_in_two_objects() -> None:
    assert decode_strictly('[{"a": 1}, {"a": 2}]') == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("text", [rb'"\ud800"', rb'{"\udfff": 1}', rb'["\ud800\u0041"]'])
def test_lone_surrogates_are_refused(text: bytes) -> None:
    assert faults_of(text) == ["lone_surrogate"]


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert decode_strictly(rb'"\ud83d\ude00"') == "😀"


@pytest.mark.parametrize("text", [r'"a\u0000"', r'{"\u0000": 1}'])
def test_nul_is_refused(text: str) -> None:
    assert faults_of(text) == ["nul_character"]


@pytest.mark.parametrize("body", [b"\xff\xfe{}", b'"\xc3"', '"é"'.encode("latin-1")])
def test_what_is_not_utf_8_is_refused(body: bytes) -> None:
    assert faults_of(body) == ["not_json"]


@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_limited(opened: str, closed: str) -> None:
    deepest = MAX_DEPTH - 1  # the value inside is a level too
    decode_strictly(opened * deepest + "1" + closed * deepest)
    assert faults_of(opened * MAX_DEPTH + "1" + closed * MAX_DEPTH) == ["too_deep"]


def test_a_million_brackets_are_refused_and_not_followed() -> None:
    assert faults_of("[" * 1_000_000) == ["not_json"]


def test_every_fault_is_told_with_its_place() -> None:
    with pytest.raises(InvalidDocument) as refused:
        check_canonicalisable({"a/b": [1, float("nan")], "c~d": {"e": 2**60}})
    places = [(fault.pointer, fault.code) for fault in refused.value.faults]
    assert places == [("/a~1b/1", "not_finite"), ("/c~0d/e", "unsafe_integer")]


@given(TEXTS)
def test_a_pointer_token_has_one_reading(key: str) -> None:
    token = pointer_token(key)
    assert "/" not in token
    assert token.replace("~1", "/").replace("~0", "~") == key
