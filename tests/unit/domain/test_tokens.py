"""The shape of tokens: recognisable, checked, hashed at rest."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animus.domain.errors import CredentialRefused
from animus.domain.secret_patterns import PATTERNS
from animus.domain.tokens import (
    ENTROPY_BYTES,
    HINT_LENGTH,
    TokenKind,
    make_token,
    read_kind,
    token_hash,
    token_hint,
)

ENTROPY = st.binary(min_size=ENTROPY_BYTES, max_size=ENTROPY_BYTES)
TOKEN = make_token(TokenKind.PERSONAL, bytes(range(ENTROPY_BYTES)))


@given(st.sampled_from(TokenKind), ENTROPY)
def test_a_token_says_its_kind(kind: TokenKind, entropy: bytes) -> None:
    token = make_token(kind, entropy)
    assert read_kind(token) is kind
    assert token.isascii()
    assert token.startswith(f"{kind}_")


@given(ENTROPY, ENTROPY)
def test_all_entropy_is_in_the_token(one: bytes, other: bytes) -> None:
    same = make_token(TokenKind.RUN, one) == make_token(TokenKind.RUN, other)
    assert same == (one == other)


@given(ENTROPY, st.data())
def test_one_mistyped_character_is_noticed_without_a_database(
    entropy: bytes, data: st.DataObject
) -> None:
    token = make_token(TokenKind.PERSONAL, entropy)
    at = data.draw(st.integers(len("anmp_"), len(token) - 1))
    other = data.draw(st.sampled_from("0aZ9x").filter(lambda c: c != token[at]))
    with pytest.raises(CredentialRefused, match="mistyped or cut off"):
        read_kind(token[:at] + other + token[at + 1 :])


@pytest.mark.parametrize(
    "text",
    ["", "x", "anmp", "anmp_", "anmx_" + TOKEN[5:], TOKEN[:-1], TOKEN + "x", TOKEN.upper(),
     "ghp_" + "a" * 36, TOKEN.replace("_", "-"), "anmp_" + "é" * 49, TOKEN + "\n"],
)  # fmt: skip
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(CredentialRefused):
        read_kind(text)


def test_the_kind_is_under_the_checksum() -> None:
    with pytest.raises(CredentialRefused, match="mistyped"):
        read_kind(TOKEN.replace("anmp_", "anmr_"))


def test_at_rest_there_is_a_sha_256_of_it() -> None:
    assert token_hash(TOKEN) == hashlib.sha256(TOKEN.encode()).digest()


def test_a_hint_shows_only_the_beginning() -> None:
    assert token_hint(TOKEN) == TOKEN[:HINT_LENGTH]
    assert len(TOKEN) - HINT_LENGTH > 40


@given(st.sampled_from(TokenKind), ENTROPY)
def test_our_own_tokens_look_like_secrets_to_us(kind: TokenKind, entropy: bytes) -> None:
    assert PATTERNS["Animus token"].search(f"x={make_token(kind, entropy)}")
