"""What looks like a credential, so that it is refused before it reaches a row that stays for ever.

A net with known meshes: published token shapes, private keys, URLs with passwords. It does not
find every secret, and says so in the documentation; its false alarms can be overridden by place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from animus.domain.errors import Fault, SecretSuspected

PATTERNS: dict[str, re.Pattern[str]] = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    "age key": re.compile(r"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b"),
    "URL with a password": re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,99}:[^\s/@]{1,255}@"),
    "AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50,255})"),
    "GitLab token": re.compile(r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent)-[A-Za-z0-9_-]{20,}"),
    "Slack token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "Stripe key": re.compile(r"\b[rs]k_live_[A-Za-z0-9]{16,}"),
    "Google API key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
    "OpenAI or Anthropic key": re.compile(r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}"),
    "Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}\b"),
    "PyPI token": re.compile(r"\bpypi-AgEI[A-Za-z0-9_-]{50,}"),
    "npm token": re.compile(r"\bnpm_[A-Za-z0-9]{36}\b"),
    "JSON Web Token": re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    "Vault token": re.compile(r"\bhv[sbr]\.[A-Za-z0-9_-]{24,}"),
    "Animus token": re.compile(r"\banm[a-z]_[0-9A-Za-z]{40,}"),
}  # fmt: skip


def check_for_secrets(texts: Iterable[tuple[str, str]], *, allowed: frozenset[str]) -> None:
    """Raise `SecretSuspected` naming pointer and kind, never the value.

    `texts` are (JSON pointer, text) pairs; the pointers in `allowed` were overridden by the caller.
    """
    faults = tuple(_suspicions(texts, allowed))
    if faults:
        raise SecretSuspected(
            "Something here looks like a credential. It would be kept for ever: use a secret "
            "reference. If it is none, name its pointer in 'not_secret'.",
            faults,
        )


def _suspicions(texts: Iterable[tuple[str, str]], allowed: frozenset[str]) -> Iterator[Fault]:
    for pointer, text in texts:
        kind = next((name for name, shape in PATTERNS.items() if shape.search(text)), None)
        if kind is not None and pointer not in allowed:
            yield Fault(pointer=pointer, message=f"Looks like: {kind}.", code="secret_suspected")
