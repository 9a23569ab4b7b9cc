"""Secrets on their way in and out of the command line: never in a list, never half-written."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from animus_sdk.cli.screens import Screen
from animus_sdk.errors import FileUnfit, SettingsUnfit
from animus_sdk.printable import printable
from animus_sdk.wire.views import Token

MAX_TOKEN = 4_096


def read_secret(screen: Screen, *, file: Path | None, question: str) -> str:
    """From a file, from a terminal without showing it, or from what is piped in."""
    if file is not None:
        text = _read_file(file)
    elif screen.may_ask:
        text = screen.ask_secret(question)
    else:
        text = sys.stdin.readline(MAX_TOKEN)
    text = text.strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise SettingsUnfit(
            "That is no token. Give it on a terminal, as one line of standard input, or with"
            " --token-file.",
            code="usage",
        )
    return text


def write_secret(path: Path, secret: str) -> None:
    """A new file of mode 0600; one that is there is not replaced."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise FileUnfit(f"Cannot make {printable(str(path))}: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret)


def check_writable(path: Path | None) -> None:
    """Before a token is made that could not be kept."""
    if path is not None and (path.exists() or not path.parent.is_dir()):
        raise FileUnfit(
            f"{printable(str(path))} is there already, or its directory is not. Name a new file."
        )


def show_token(screen: Screen, token: Token, *, file: Path | None) -> None:
    """The one time that the secret of a token is told."""
    secret = token["secret"] or ""
    if file is not None:
        write_secret(file, secret)
        token = {**token, "secret": None}

    def render() -> None:
        screen.note(f"Token {token['name']!r}, good until {token['expires_at'][:10]}.")
        if file is not None:
            screen.line(f"Its secret is in {file} (mode 0600).")
        else:
            screen.note("Keep its secret now; it is not shown again:")
            screen.line(secret)

    screen.answer(token, render)


def _read_file(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            return file.readline(MAX_TOKEN)
    except (OSError, UnicodeDecodeError):
        raise FileUnfit(f"Cannot read a token from {printable(str(path))}.") from None
