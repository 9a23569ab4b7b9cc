"""Signatures: over exactly these bytes, under exactly this tag, by exactly this key."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from animus.adapters.signing import FileSigner, KeyUnfit, make_key
from animus.ledger.signatures import SignatureRefused, key_id, verify

TAG = "animus.work-order/v1"
BYTES = b'{"a":1}'


@pytest.fixture
def signer(tmp_path: Path) -> FileSigner:
    make_key(tmp_path / "key")
    return FileSigner(tmp_path / "key")


def test_a_signature_holds_for_what_was_signed(signer: FileSigner) -> None:
    verify(TAG, BYTES, signer.sign(TAG, BYTES), signer.public_key)


def test_a_signature_holds_for_nothing_else(signer: FileSigner) -> None:
    good = signer.sign(TAG, BYTES)
    other_key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    forged = [
        (TAG, b'{"a":2}', good, signer.public_key),
        ("animus.attempt-result/v1", BYTES, good, signer.public_key),
        (TAG, BYTES, bytes([good[0] ^ 1]) + good[1:], signer.public_key),
        (TAG, BYTES, good[:-1], signer.public_key),
        (TAG, BYTES, b"", signer.public_key),
        (TAG, BYTES, good, other_key),
        (TAG, BYTES, good, b"short"),
        (TAG, b"", signer.sign(TAG + "\n" + BYTES.decode(), b""), signer.public_key),
    ]
    for tag, canonical, signature, public_key in forged:
        with pytest.raises(SignatureRefused):
            verify(tag, canonical, signature, public_key)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(KeyUnfit, match="chmod 600"):
        FileSigner(tmp_path / "key")


def test_making_a_key_leaves_one_alone_that_is_there(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    before = (tmp_path / "key").read_bytes()
    make_key(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == before
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_keys_name_is_short_and_its_own() -> None:
    names = {key_id(bytes([n]) * 32) for n in range(10)}
    assert len(names) == 10
    assert {len(name) for name in names} == {16}
