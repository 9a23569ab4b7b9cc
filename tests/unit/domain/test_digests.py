"""Digests: tagged, so that equal bytes of two kinds have two digests."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animus.domain.digests import (
    digest_of_canonical,
    format_digest,
    parse_digest,
    sha256,
    tagged_digest,
)
from animus.domain.errors import Invalid


def test_a_tagged_digest_is_over_tag_newline_and_canonical_bytes() -> None:
    expected = hashlib.sha256(b'animus.plan/v1\n{"a":1,"b":2}').digest()
    assert tagged_digest("animus.plan/v1", {"b": 2, "a": 1}) == expected


def test_equal_documents_under_two_tags_have_two_digests() -> None:
    assert digest_of_canonical("animus.plan/v1", b"{}") != digest_of_canonical("animus.x/v1", b"{}")


@given(st.binary(max_size=100))
def test_a_digest_reads_back_as_it_was_written(data: bytes) -> None:
    assert parse_digest(format_digest(sha256(data))) == hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "A" * 64,
        "sha512:" + "a" * 64,
        "sha256:" + "a" * 64 + "\n",
        "sha256:" + "\u0661" * 64,
    ],
)
def test_what_is_no_digest_is_refused_with_how_one_is_written(text: str) -> None:
    with pytest.raises(Invalid, match="64 lower-case hexadecimal digits"):
        parse_digest(text)
