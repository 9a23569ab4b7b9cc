"""Secrets that a person gives to a step on his own machine: the platform hands none out."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from animus_sdk.cli.pairs import said_pairs
from animus_sdk.errors import SettingsUnfit
from animus_sdk.printable import printable


def own_secrets(said: Sequence[str], declared: Collection[str]) -> dict[str, str]:
    """By name, from this process's environment: on a command line others would read them.

    Raises `SettingsUnfit` for what no step declares: it would find none of it on a cluster.
    """
    found: dict[str, str] = {}
    for name, variable in said_pairs(said, "--secret"):
        if name not in declared:
            known = ", ".join(sorted(declared)) or "none"
            raise SettingsUnfit(
                f"--secret {printable(name)}: no such secret is declared. Declared: {known}.",
                code="usage",
            )
        if variable not in os.environ:
            raise SettingsUnfit(
                f"--secret {printable(name)}: there is no variable {printable(variable)} here.",
                code="usage",
            )
        found[name] = os.environ[variable]
    return found
