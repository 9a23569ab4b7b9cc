"""What looks like a credential is found, by place and kind, and its value is never repeated."""

from __future__ import annotations

import base64
from collections.abc import Callable
from re import _parser  # type: ignore[attr-defined]  # knows how short a match can be

import pytest

from animus.domain.digests import sha256
from animus.domain.errors import SecretSuspected
from animus.domain.parameters import leaves
from animus.domain.secret_patterns import PATTERNS, SHORTEST, check_for_secrets
from animus.domain.tokens import ENTROPY_BYTES, TokenKind, make_token
from tests.conftest import RecordCases

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

SECRETS: dict[str, tuple[str, ...]] = {
    "private key": (
        "-----BEGIN PRIVATE KEY-----\nMII", "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----", "-----BEGIN OPENSSH PRIVATE KEY-----",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    ),
    "age key": ("AGE-SECRET-KEY-1" + "Q" * 58,),
    "URL with a password": (
        "postgresql://user:hunter2@db/x", "https://:token@host/", "redis://a:b%40c@h",
        "see mysql+pymysql://root:root@127.0.0.1:3306",
    ),
    "AWS access key": ("AKIA" + "A2" * 8, "ASIA" + "Z9" * 8),
    "GitHub token": (
        "ghp_" + LETTERS[:36], "gho_" + LETTERS[:36], "ghs_" + LETTERS[:36],
        "github_pat_" + LETTERS + LETTERS[:20],
    ),
    "GitLab token": ("glpat-" + LETTERS[:20], "glrt-" + LETTERS[:20], "gldt-" + LETTERS[:22]),
    "Slack token": ("xoxb-" + LETTERS[:20], "xoxp-1-2-3-" + LETTERS[:20]),
    "Stripe key": ("sk_live_" + LETTERS[:24], "rk_live_" + LETTERS[:16]),
    "Google API key": ("AIza" + LETTERS[:35],),
    "OpenAI or Anthropic key": (
        "sk-" + LETTERS[:48], "sk-ant-" + LETTERS[:40], "sk-proj-" + LETTERS[:40],
    ),
    "Hugging Face token": ("hf_" + LETTERS[:34],),
    "PyPI token": ("pypi-AgEI" + LETTERS,),
    "npm token": ("npm_" + LETTERS[:36],),
    "JSON Web Token": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",),
    "Vault token": ("hvs." + LETTERS[:24], "hvb." + LETTERS[:30]),
    "Animus token": tuple(make_token(kind, bytes(ENTROPY_BYTES)) for kind in TokenKind),
}  # fmt: skip

HARMLESS = (
    "python train.py --lr 0.1", "https://example.org/path?user=a", "s3://bucket/key:1",
    "user@example.org", "git@host:team/repo.git", "http://host:8080/@scope/package",
    "sha256:" + "a" * 64, "0123456789abcdef0123456789abcdef01234567", "AKIA", "sk-learn",
    "-----BEGIN PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----", "eyJ.eyJ.x", "ghp_short",
    "hf_dataset_name", "risk-adjusted-portfolio-optimisation-run-seven",
    "at-risk-adjusted-portfolio-optimisation-run", "run-ask-the-model-for-predictions-in-one-batch",
    "disk_live_migrationofguests", "3fa85f64-5717-4562-b3fc-2c963f66afa6", "password", "",
)  # fmt: skip

ONLY_AT_A_START = {
    "AWS access key", "Google API key", "Hugging Face token", "OpenAI or Anthropic key",
    "Stripe key",
}  # fmt: skip
"""Too short, or too much like the end of a word, to be told inside one."""

ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "upper-case hex": lambda digest: digest.hex().upper(),
    "base32": lambda digest: base64.b32encode(digest).decode(),
    "base64": lambda digest: base64.b64encode(digest).decode(),
    "base64url": lambda digest: base64.urlsafe_b64encode(digest).decode(),
}

CASES = [(kind, text) for kind, texts in SECRETS.items() for text in texts]


def test_every_pattern_has_its_examples() -> None:
    assert set(SECRETS) == set(PATTERNS)


@pytest.mark.parametrize(
    ("kind", "text"), CASES, ids=[f"{kind}-{n}" for n, (kind, _) in enumerate(CASES)]
)
@pytest.mark.parametrize(
    "around",
    ["{}", "--token={} --x", '{{"key": "{}"}}', "a\n{}\nb", "-H{}", "curl -H{} u", "'-H{}'"],
)
def test_a_credential_is_found_wherever_it_stands(
    kind: str, text: str, around: str, record_cases: RecordCases
) -> None:
    with pytest.raises(SecretSuspected) as refused:
        check_for_secrets([("/parameters/x", around.format(text))], allowed=frozenset())
    (fault,) = refused.value.faults
    assert (fault.pointer, fault.code, fault.message) == (
        "/parameters/x", "secret_suspected", f"Looks like: {kind}.",
    )  # fmt: skip
    assert text not in f"{refused.value}{refused.value.message}{refused.value.detail}"
    record_cases("secrets", 1)


@pytest.mark.parametrize(
    ("kind", "text"), [case for case in CASES if case[0] not in ONLY_AT_A_START]
)
def test_an_unmistakable_shape_is_found_inside_a_word(kind: str, text: str) -> None:
    with pytest.raises(SecretSuspected) as refused:
        check_for_secrets([("/x", f"Bearer{text}")], allowed=frozenset())
    assert refused.value.faults[0].message == f"Looks like: {kind}."


@pytest.mark.parametrize("written", ENCODINGS)
def test_a_digest_is_no_credential(written: str) -> None:
    """Alone, and glued together into a text as long as a lock's hashes."""
    encode = ENCODINGS[written]
    digests = [encode(sha256(str(number).encode())) for number in range(2_000)]
    check_for_secrets([("/x", digest) for digest in digests], allowed=frozenset())
    check_for_secrets([("/x", "".join(digests))], allowed=frozenset())


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_is_left_alone(text: str) -> None:
    check_for_secrets([("/x", text)], allowed=frozenset())


def test_a_false_alarm_is_overridden_by_its_place_alone() -> None:
    texts = [("/env/A", "hf_" + LETTERS[:34]), ("/env/B", "hf_" + LETTERS[:34])]
    with pytest.raises(SecretSuspected) as refused:
        check_for_secrets(texts, allowed=frozenset({"/env/A"}))
    assert [fault.pointer for fault in refused.value.faults] == ["/env/B"]
    check_for_secrets(texts, allowed=frozenset({"/env/A", "/env/B"}))


def test_a_credential_in_a_key_is_not_repeated_in_the_place() -> None:
    secret = "ghp_" + LETTERS[:36]
    texts = list(leaves({"labels": {secret: {"deeper": [secret]}}}, ""))
    with pytest.raises(SecretSuspected) as refused:
        check_for_secrets(texts, allowed=frozenset())
    assert [fault.pointer for fault in refused.value.faults] == ["/labels", "/labels"]


def test_where_nothing_can_be_overridden_nothing_else_is_said() -> None:
    with pytest.raises(SecretSuspected) as refused:
        check_for_secrets([("/reason", "ghp_" + LETTERS[:36])], allowed=None)
    assert "not_secret" not in refused.value.message


def test_every_place_is_named() -> None:
    texts = [(f"/{n}", text) for n, (_, text) in enumerate(CASES)]
    with pytest.raises(SecretSuspected) as refused:
        check_for_secrets(texts, allowed=frozenset())
    assert len(refused.value.faults) == len(CASES)


@pytest.mark.parametrize(
    "text", ["a://" + "b" * 200_000, "x" * 500_000, "eyJ" * 100_000, "a:" * 100_000]
)
def test_a_long_text_is_read_and_not_stumbled_over(text: str) -> None:
    check_for_secrets([("/x", text)], allowed=frozenset())


def test_no_shape_fits_a_text_that_is_too_short_to_be_looked_at() -> None:
    shortest = min(_parser.parse(shape.pattern).getwidth()[0] for shape in PATTERNS.values())
    assert shortest == SHORTEST
    with pytest.raises(SecretSuspected):
        check_for_secrets([("/env/URL", "s://:p@")], allowed=None)
