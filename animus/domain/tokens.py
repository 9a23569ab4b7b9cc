"""The shape of our bearer tokens: a recognisable prefix, 256 random bits, a checksum.

The checksum lets a scanner tell a real token from a look-alike, and lets the api refuse a mistyped
one without asking the database. At rest only SHA-256 of the text is kept: the input has full
entropy, so a slow hash would protect nothing.
"""

from __future__ import annotations

import zlib
from enum import StrEnum

from animus.domain.digests import Digest, sha256
from animus.domain.errors import CredentialRefused

ENTROPY_BYTES = 32
HINT_LENGTH = 12
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY_LENGTH = 43  # 62**43 > 2**256
_CHECKSUM_LENGTH = 6


class TokenKind(StrEnum):
    PERSONAL = "anmp"
    SERVICE = "anms"
    BOOTSTRAP = "anmb"
    ATTEMPT = "anma"
    RUN = "anmr"
    REVIEW_LINK = "anml"
    """In the address of a page, and good for nothing else."""


def make_token(kind: TokenKind, entropy: bytes) -> str:
    body = _base62(int.from_bytes(entropy[:ENTROPY_BYTES], "big"), _BODY_LENGTH)
    return f"{kind}_{body}{_checksum(f'{kind}_{body}')}"


def read_kind(token: str) -> TokenKind:
    """The kind of a well-formed token; raises `CredentialRefused` for everything else."""
    kind, _, rest = token.partition("_")
    body, checksum = rest[:_BODY_LENGTH], rest[_BODY_LENGTH:]
    known = kind in set(TokenKind)
    if not known or len(rest) != _BODY_LENGTH + _CHECKSUM_LENGTH or not rest.isascii():
        raise CredentialRefused("This is not an Animus token. Sign in with 'animus login'.")
    if checksum != _checksum(f"{kind}_{body}"):
        raise CredentialRefused("The token is mistyped or cut off. Copy all of it.")
    return TokenKind(kind)


def token_hash(token: str) -> Digest:
    return sha256(token.encode("ascii"))


def token_hint(token: str) -> str:
    """Enough of a token to recognise it in a list, and no more."""
    return token[:HINT_LENGTH]


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode("ascii")), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
