"""What looks like a credential, so that it is refused before it reaches a row that stays for ever.

A net with known meshes: published token shapes, private keys, URLs with passwords. It does not
find every secret, and says so in the documentation; its false alarms can be overridden by place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from animus.domain.errors import Fault, SecretSuspected

_START = r"""(?:\b|(?<=^-[A-Za-z])|(?<=[\s"']-[A-Za-z]))"""
"""Before a shape that also ends words or stands in encoded digests (`risk-`, AKIA in base32): the
start of a word, or right after an option's letter, as in `curl -Hsk-...`."""

PATTERNS: dict[str, re.Pattern[str]] = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    "age key": re.compile(r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    "URL with a password": re.compile(r"[A-Za-z0-9]://[^\s/:@]{0,99}:[^\s/@]{1,255}@"),
    "AWS access key": re.compile(_START + r"(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "GitHub token": re.compile(r"gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50,255}"),
    "GitLab token": re.compile(r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[A-Za-z0-9_-]{20,}"),
    "Slack token": re.compile(r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "Stripe key": re.compile(_START + r"[rs]k_live_[A-Za-z0-9]{16,}"),
    "Google API key": re.compile(_START + r"AIza[0-9A-Za-z_-]{35}\b"),
    "OpenAI or Anthropic key": re.compile(_START + r"sk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}"),
    "Hugging Face token": re.compile(_START + r"hf_[A-Za-z0-9]{30,}\b"),
    "PyPI token": re.compile(r"pypi-AgEI[A-Za-z0-9_-]{50,}"),
    "npm token": re.compile(r"npm_[A-Za-z0-9]{36}"),
    "JSON Web Token": re.compile(r"[\w-]{8}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    "Vault token": re.compile(r"hv[sbr]\.[A-Za-z0-9_-]{24,}"),
    "Animus token": re.compile(r"anm[a-z]_[0-9A-Za-z]{40,}"),
}

SHORTEST = 7
"""Characters of the shortest text that fits a shape, `s://:p@`: most texts of a run are shorter."""

_REFUSAL = "Something here looks like a credential. It would be kept for ever: "


def check_for_secrets(texts: Iterable[tuple[str, str]], *, allowed: frozenset[str] | None) -> None:
    """Raise `SecretSuspected` naming pointer and kind, never the value.

    `texts` are (JSON pointer, text) pairs; the pointers in `allowed` were overridden by the caller.
    None says that nothing can be overridden there.
    """
    faults = tuple(_suspicions(texts, allowed or frozenset()))
    if faults and allowed is None:
        raise SecretSuspected(_REFUSAL + "leave it out.", faults)
    if faults:
        raise SecretSuspected(
            _REFUSAL + "use a secret reference. If it is none, name its pointer in 'not_secret'.",
            faults,
        )


def _suspicions(texts: Iterable[tuple[str, str]], allowed: frozenset[str]) -> Iterator[Fault]:
    for pointer, text in texts:
        kind = _find_kind(text)
        if kind is not None and pointer not in allowed:
            place = _without_suspects(pointer)
            yield Fault(pointer=place, message=f"Looks like: {kind}.", code="secret_suspected")


def _find_kind(text: str) -> str | None:
    if len(text) < SHORTEST:
        return None
    return next((name for name, shape in PATTERNS.items() if shape.search(text)), None)


def _without_suspects(pointer: str) -> str:
    """The place as far as it can be told: a key on the way may be a credential too."""
    while _find_kind(pointer) is not None:
        pointer = pointer.rpartition("/")[0]
    return pointer
