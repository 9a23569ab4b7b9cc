"""The tokens that the stack issues for Temporal. What Temporal makes of them: `tests/attacker`."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError
from joserfc.jwk import ECKey, KeySet

from deploy.embedded.temporal_access import ALGORITHM, TemporalAccess


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "temporal-access.pem"


def _claims(token: str, access: TemporalAccess) -> dict[str, object]:
    keys = KeySet.import_key_set(json.loads(access.public_keys()))
    return jwt.decode(token, keys, algorithms=[ALGORITHM]).claims


def test_each_token_gives_the_rights_of_its_holder_and_no_other(key_file: Path) -> None:
    access = TemporalAccess.load_or_create(key_file)
    tokens = (access.for_operator(), access.for_worker(), access.for_agent("north"))
    assert [_claims(token, access)["permissions"] for token in tokens] == [
        ["temporal-system:admin"],
        ["temporal-system:write"],
        ["animus-north:write"],
    ]


def test_a_token_ends(key_file: Path) -> None:
    access = TemporalAccess.load_or_create(key_file)
    claims = _claims(access.for_worker(), access)
    begun, end = claims["iat"], claims["exp"]
    assert isinstance(begun, int)
    assert isinstance(end, int)
    assert begun < end


def test_the_key_stays_over_starts_and_only_its_owner_reads_it(key_file: Path) -> None:
    token = TemporalAccess.load_or_create(key_file).for_worker()
    again = TemporalAccess.load_or_create(key_file)
    assert _claims(token, again)["sub"] == "worker"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


def test_another_key_signs_nothing_here(key_file: Path) -> None:
    access = TemporalAccess.load_or_create(key_file)
    stranger = ECKey.generate_key("P-256", private=True)
    (published,) = json.loads(access.public_keys())["keys"]
    claims = {"sub": "operator", "permissions": ["temporal-system:admin"]}
    unknown = jwt.encode({"alg": ALGORITHM, "kid": stranger.thumbprint()}, claims, stranger)
    with pytest.raises(InvalidKeyIdError):
        _claims(unknown, access)
    posing = jwt.encode({"alg": ALGORITHM, "kid": published["kid"]}, claims, stranger)
    with pytest.raises(BadSignatureError):
        _claims(posing, access)


def test_what_is_published_is_no_secret(key_file: Path) -> None:
    access = TemporalAccess.load_or_create(key_file)
    (published,) = json.loads(access.public_keys())["keys"]
    assert "d" not in published
    assert published["alg"] == ALGORITHM
