"""Where gateway, token and project come from: arguments, environment, the folder's file, the
user's file, in this order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from animus_sdk.errors import SettingsUnfit
from animus_sdk.printable import printable
from animus_sdk.user_config import UserConfig, config_path, parse_toml, read_user_config

DEFAULT_GATEWAY = "http://localhost:8080"
GATEWAY_VARIABLE = "ANIMUS_GATEWAY_URL"
TOKEN_VARIABLE = "ANIMUS_AUTH_TOKEN"
PROJECT_VARIABLE = "ANIMUS_PROJECT"
FOLDER_FILE = ".animus.toml"
FOLDER_KEYS = ("gateway", "project")
_LOOKS_SECRET = ("token", "secret", "password", "key")
MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a caller says himself, as arguments or options; it wins over everything else."""

    gateway_url: str | None = None
    auth_token: str | None = field(default=None, repr=False)
    project: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    gateway_url: str
    gateway_from: str
    """Where it was said, for a person who wonders."""
    auth_token: str | None = field(repr=False)
    token_from: str
    project: str | None
    """A name or an id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    path: Path
    gateway: str | None
    project: str | None


def load_settings(
    given: Given | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Raises `SettingsUnfit` for a file that cannot be used, and for a token that would go astray.

    A file in a folder may come from anybody. So a token of the environment goes only to a gateway
    that the caller, the environment or the user's own file names, never to one that only such a
    file knows.
    """
    given = given or Given()
    environment = os.environ if environment is None else environment
    user_path = config_path(environment)
    user = read_user_config(user_path)
    said = _find_folder_file(folder or Path.cwd())
    url, source = _gateway(given, environment, said, user, user_path)
    known = user.known(url)
    token, token_from = _token(given, environment, known.token, user_path)
    if said is not None and source == str(said.path) and token_from == TOKEN_VARIABLE:
        _check_trusted(url, source, user)
    projects = (
        given.project,
        environment.get(PROJECT_VARIABLE),
        said.project if said else None,
        known.project,
    )
    return Settings(
        gateway_url=url,
        gateway_from=source,
        auth_token=token,
        token_from=token_from,
        project=next((project for project in projects if project), None),
    )


def normal_url(text: str, *, source: str) -> str:
    """A gateway's URL as it is compared and kept; raises `SettingsUnfit` for what is none."""
    shown = printable(text)[:200]
    if text.startswith("unix://"):
        if not text.startswith("unix:///"):
            raise SettingsUnfit(
                f"{source}: a socket is written as unix:///path/api.sock, not {shown!r}."
            )
        return text
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise SettingsUnfit(f"{source}: {shown!r} is no URL.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsUnfit(
            f"{source}: a gateway is written as https://host, http://host:port or"
            f" unix:///path/api.sock, not {shown!r}."
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise SettingsUnfit(f"{source}: a gateway's URL has no user, no '?' and no '#'.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    said_port = f":{port}" if port is not None else ""
    return f"{parts.scheme}://{host}{said_port}{parts.path.rstrip('/')}"


def host_and_port(text: str, *, source: str) -> tuple[str, int]:
    """An address as `host:port` or `[::1]:port`; raises `SettingsUnfit` for what is none."""
    unfit = f"{source}: an address is written as host:port, not {printable(text)[:200]!r}."
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SettingsUnfit(unfit) from None
    if not host or not port or "@" in text or parts.netloc != text:
        raise SettingsUnfit(unfit)
    return host, port


def _gateway(
    given: Given,
    environment: Mapping[str, str],
    said: _Folder | None,
    user: UserConfig,
    user_path: Path,
) -> tuple[str, str]:
    candidates = (
        (given.gateway_url, "the argument"),
        (environment.get(GATEWAY_VARIABLE), GATEWAY_VARIABLE),
        (said.gateway if said else None, str(said.path) if said else ""),
        (user.gateway, str(user_path)),
    )
    for url, source in candidates:
        if url:
            return normal_url(url, source=source), source
    return DEFAULT_GATEWAY, "the default"


def _token(
    given: Given, environment: Mapping[str, str], kept: str | None, user_path: Path
) -> tuple[str | None, str]:
    if given.auth_token:
        return given.auth_token, "the argument"
    if environment.get(TOKEN_VARIABLE):
        return environment[TOKEN_VARIABLE], TOKEN_VARIABLE
    return kept, str(user_path)


def _check_trusted(url: str, source: str, user: UserConfig) -> None:
    if url == DEFAULT_GATEWAY or url == user.gateway or url in user.gateways:
        return
    raise SettingsUnfit(
        f"{source} names the gateway {url}, and the token of {TOKEN_VARIABLE} was not said to be"
        f" for it. If it is, say so: {GATEWAY_VARIABLE}={url}",
        code="gateway_not_trusted",
    )


def _find_folder_file(start: Path) -> _Folder | None:
    """The nearest `.animus.toml`, from `start` upwards."""
    for folder in (start, *start.absolute().parents):
        path = folder / FOLDER_FILE
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise SettingsUnfit(f"Cannot read {path}: {error.strerror}.") from None
        return _decode_folder_file(path, content)
    return None


def _decode_folder_file(path: Path, content: bytes) -> _Folder:
    document = parse_toml(content, path=path)
    for key, value in document.items():
        if key in FOLDER_KEYS and isinstance(value, str):
            continue
        if any(word in key.lower() for word in _LOOKS_SECRET):
            raise SettingsUnfit(
                f"{path} holds {printable(key)!r}. A file in a folder gets committed, so it holds"
                " no credential: take it out, revoke the token if it was shared, and sign in with"
                " 'animus login'.",
                code="token_in_folder",
            )
        raise SettingsUnfit(
            f"{path}: {printable(key)!r} is no setting here. It holds"
            f" {' and '.join(FOLDER_KEYS)}, as text in quotes."
        )
    return _Folder(path=path, gateway=document.get("gateway"), project=document.get("project"))
