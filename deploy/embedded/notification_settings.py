"""How a stack's worker tells people, from the environment: by the names that it knows itself."""

from __future__ import annotations

from collections.abc import Mapping

from deploy.embedded.errors import StackError

PREFIX = "ANIMUS_NOTIFICATIONS__"
KEYS = ("public_url", "templates", "remind_at", "escalate_at")
TABLES = {
    "smtp": ("host", "port", "sender", "sender_name", "tls", "ca_file", "user", "password_file"),
    "chat": ("folder", "body_file", "ca_file"),
}


def names() -> tuple[str, ...]:
    """Every variable. A password is in none of them: it is in a file that one of them names."""
    tables = [f"{table}__{key}" for table, keys in TABLES.items() for key in keys]
    return tuple(f"{PREFIX}{name.upper()}" for name in (*KEYS, *tables))


def notifications_of(
    environment: Mapping[str, str],
) -> dict[str, str | Mapping[str, str | int | bool]]:
    """The section of the worker's settings; empty, and nobody is told, where nothing is named."""
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    unknown = sorted(given.keys() - set(names()))
    if unknown:
        raise StackError(f"{unknown[0]} is no setting. There are {', '.join(names())}.")
    section: dict[str, str | Mapping[str, str | int | bool]] = {
        key: value for key in KEYS if (value := given.get(f"{PREFIX}{key.upper()}"))
    }
    for table, keys in TABLES.items():
        told = {
            key: value
            for key in keys
            if (value := given.get(f"{PREFIX}{table.upper()}__{key.upper()}"))
        }
        if told:
            section[table] = told
    return section
