"""What podman and docker know of this user at a registry: their files and credential helpers."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from animus_sdk.images.names import DOCKER_HUB

HELPER_PATIENCE = 30.0
_HELPER = re.compile(r"[A-Za-z0-9._-]{1,100}")
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    user: str
    password: str = field(repr=False)


def find_credential(
    host: str, path: str, *, environment: Mapping[str, str] = os.environ
) -> Credential | None:
    """For one repository: podman's files name hosts or more of the path, docker's hosts alone."""
    keys = _keys(host, path)
    for file in _files(environment):
        document = _read(file)
        for key in keys:
            found = _from_helper(document, key) or _written(document, key)
            if found is not None:
                return found
    return None


def _keys(host: str, path: str) -> list[str]:
    """The longest first."""
    parts = [host, *path.split("/")]
    keys = ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return [*keys, *(_HUB_KEYS if host == DOCKER_HUB else (f"https://{host}",))]


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environment.get("HOME") or Path.home())
    if named := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"
    elif os.geteuid() == 0:
        yield Path("/run/containers/0/auth.json")
    config = environment.get("XDG_CONFIG_HOME") or home / ".config"
    yield Path(config) / "containers" / "auth.json"
    yield Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"


def _read(file: Path) -> Mapping[str, Any]:
    """Empty where there is none that we understand: the registry then says what it lacks."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _written(document: Mapping[str, Any], key: str) -> Credential | None:
    entry = _table(document, "auths").get(key)
    said = entry.get("auth") if isinstance(entry, dict) else None
    if not isinstance(said, str):
        return None
    try:
        user, _, password = base64.b64decode(said, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Credential(user=user, password=password) if user and password else None


def _from_helper(document: Mapping[str, Any], key: str) -> Credential | None:
    store = document.get("credsStore") if key in _table(document, "auths") else None
    helper = _table(document, "credHelpers").get(key) or store
    if not isinstance(helper, str) or not _HELPER.fullmatch(helper):
        return None
    try:
        done = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=key.encode(),
            capture_output=True,
            timeout=HELPER_PATIENCE,
            check=True,
        )
        said = json.loads(done.stdout)
        return Credential(user=str(said["Username"]), password=str(said["Secret"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}
