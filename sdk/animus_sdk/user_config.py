"""The user's own file: which gateways are known, the token for each, the project last used.

A token belongs to the gateway that it was given for, and is kept under that gateway's URL: no
other setting can make it travel elsewhere.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from animus_sdk.errors import SettingsUnfit

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TOP_KEYS = frozenset({"gateway", "gateways"})
_GATEWAY_KEYS = frozenset({"token", "project"})
_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownGateway:
    token: str | None = field(default=None, repr=False)
    project: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    gateway: str | None = None
    """The one that is used where nothing else names one."""
    gateways: Mapping[str, KnownGateway] = field(default_factory=dict)

    def known(self, gateway_url: str) -> KnownGateway:
        return self.gateways.get(gateway_url, KnownGateway())

    def with_known(self, gateway_url: str, known: KnownGateway) -> UserConfig:
        return replace(self, gateways={**self.gateways, gateway_url: known})


def config_path(environment: Mapping[str, str]) -> Path:
    home = environment.get("XDG_CONFIG_HOME")
    folder = Path(home) if home else Path(environment.get("HOME") or Path.home()) / ".config"
    return folder / "animus" / "config.toml"


def read_user_config(path: Path) -> UserConfig:
    """Empty where there is no file. Raises `SettingsUnfit` for one that others may read."""
    try:
        with path.open("rb") as file:
            _check_private(path, os.fstat(file.fileno()))
            content = file.read()
    except FileNotFoundError:
        return UserConfig()
    except OSError as error:
        raise SettingsUnfit(f"Cannot read {path}: {error.strerror}.") from None
    return _decode(path, parse_toml(content, path=path))


def write_user_config(path: Path, config: UserConfig) -> None:
    """Replaced as a whole, so that a crash leaves the old file or the new one; mode 0600."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(prefix=".config-", dir=path.parent)  # mode 0600
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(_encode(config))
        os.replace(draft, path)
    except OSError as error:
        raise SettingsUnfit(f"Cannot write {path}: {error.strerror}.") from None


def parse_toml(content: bytes, *, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise SettingsUnfit(f"{path} is not UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsUnfit(f"{path} is not TOML: {error}.") from None


def _check_private(path: Path, seen: os.stat_result) -> None:
    if seen.st_mode & _OTHERS_MAY:
        raise SettingsUnfit(
            f"{path} holds tokens, and others may read it. Run: chmod 600 {path}",
            code="settings_not_private",
        )
    if seen.st_uid != os.geteuid():
        raise SettingsUnfit(
            f"{path} belongs to another user. Remove it, and sign in again with 'animus login'.",
            code="settings_not_private",
        )


def _decode(path: Path, document: Mapping[str, Any]) -> UserConfig:
    gateways = document.get("gateways", {})
    _check_keys(path, document, _TOP_KEYS)
    if not isinstance(gateways, dict) or not all(isinstance(g, dict) for g in gateways.values()):
        raise SettingsUnfit(f"{path}: 'gateways' holds one table for each gateway's URL.")
    for known in gateways.values():
        _check_keys(path, known, _GATEWAY_KEYS)
    return UserConfig(
        gateway=_text(path, document, "gateway"),
        gateways={
            url: KnownGateway(
                token=_text(path, known, "token"), project=_text(path, known, "project")
            )
            for url, known in gateways.items()
        },
    )


def _check_keys(path: Path, table: Mapping[str, Any], allowed: frozenset[str]) -> None:
    for key in table:
        if key not in allowed:
            known = ", ".join(sorted(allowed))
            raise SettingsUnfit(f"{path}: there is no setting {key!a} here. Known: {known}.")


def _text(path: Path, table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise SettingsUnfit(f"{path}: {key!a} is a text in quotes.")
    return value


def _encode(config: UserConfig) -> str:
    lines = ["# Written by 'animus login'. Holds tokens: keep its mode 0600."]
    if config.gateway is not None:
        lines.append(f"gateway = {_quoted(config.gateway)}")
    for url, known in sorted(config.gateways.items()):
        lines += ["", f"[gateways.{_quoted(url)}]"]
        pairs = {"token": known.token, "project": known.project}
        lines += [f"{key} = {_quoted(value)}" for key, value in pairs.items() if value is not None]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text).replace("\x7f", "\\u007f")
