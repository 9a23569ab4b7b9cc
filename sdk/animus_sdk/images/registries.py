"""Registries, asked which digest a tag has now (OCI distribution spec v1.1, "Pulling manifests").

A credential goes to the registry that it is for, and to the token service that this one names over
TLS. Redirects are not followed.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from animus_sdk.errors import Unreachable
from animus_sdk.images.credentials import Credential, find_credential
from animus_sdk.images.found import DEFAULT_PLATFORM, FoundImage, ImageUnresolved
from animus_sdk.images.names import DOCKER_HUB, LOCAL, ImageName
from animus_sdk.printable import printable
from animus_sdk.wire.connections import user_agent

HUB_ADDRESS = "registry-1.docker.io"
PATIENCE = 20.0
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
"""What registries themselves take at most."""
_IMAGES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_LOOPBACK = (LOCAL, "127.0.0.1", "::1")


def has_registry(name: ImageName) -> bool:
    return name.host != LOCAL


def find_in_registry(name: ImageName, *, platform: str = DEFAULT_PLATFORM) -> FoundImage | None:
    """None where the registry has no such tag. Raises `Unreachable` and `ImageUnresolved`."""
    host = HUB_ADDRESS if name.host == DOCKER_HUB else name.host
    try:
        with _client(host) as client:
            content = _manifest(client, name, host)
    except httpx.HTTPError as error:
        raise Unreachable(f"The registry {name.host} does not answer ({_reason(error)}).") from None
    return _read(content, name, platform) if content is not None else None


def _client(host: str) -> httpx.Client:
    is_here = _is_here(host)
    return httpx.Client(
        base_url=f"{'http' if is_here else 'https'}://{host}/v2/",
        timeout=PATIENCE,
        verify=False if is_here else _authorities(host),
        trust_env=not is_here,
        headers={"User-Agent": user_agent(), "Accept": ", ".join((*_INDEXES, *_IMAGES))},
    )


def _is_here(host: str) -> bool:
    """Plain HTTP is for a registry on this machine, and for no other."""
    return urlsplit(f"//{host}").hostname in _LOOPBACK


def _authorities(host: str) -> ssl.SSLContext:
    """The machine's, and those that podman and docker are told to trust for this registry."""
    context = ssl.create_default_context()
    own = Path.home() / ".config" / "containers" / "certs.d"
    for folder in (own, Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d")):
        for file in sorted((folder / host).glob("*.crt")):
            try:
                context.load_verify_locations(file)
            except (OSError, ssl.SSLError):
                raise ImageUnresolved(f"{file} is no certificate. Repair or remove it.") from None
    return context


def _manifest(client: httpx.Client, name: ImageName, host: str) -> bytes | None:
    address = f"{name.path}/manifests/{name.tag}"
    status, headers, content = _get(client, address)
    if status == 401:
        authorization = _authorization(client, name, headers.get("www-authenticate", ""), host)
        status, headers, content = _get(client, address, authorization)
    if status == 404:
        return None
    if status in (401, 403):
        raise ImageUnresolved(
            f"The registry {name.host} does not show {name.tagged} to you. Sign in to it ('podman"
            f" login {name.host}' or 'docker login {name.host}'), then try again."
        )
    if status != 200:
        raise ImageUnresolved(
            f"The registry {name.host} answered {status} for {name.tagged}. Try again later, or"
            " name the image by its digest."
        )
    return content


def _get(
    client: httpx.Client, address: str, authorization: str | None = None
) -> tuple[int, httpx.Headers, bytes]:
    said = {"Authorization": authorization} if authorization else {}
    with client.stream("GET", address, headers=said) as answer:
        content = b""
        for chunk in answer.iter_bytes():
            content += chunk
            if len(content) > MAX_MANIFEST_BYTES:
                raise ImageUnresolved(
                    f"The registry's answer has more than {MAX_MANIFEST_BYTES} bytes: that is no"
                    " manifest."
                )
        return answer.status_code, answer.headers, content


def _authorization(client: httpx.Client, name: ImageName, challenge: str, host: str) -> str | None:
    credential = find_credential(name.host, name.path)
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic":
        return _basic(credential) if credential else None
    if scheme.lower() != "bearer":
        return None
    return _token(client, name, dict(_CHALLENGE.findall(rest)), credential, host)


def _token(
    client: httpx.Client,
    name: ImageName,
    said: Mapping[str, str],
    credential: Credential | None,
    host: str,
) -> str | None:
    """A token that may read this repository, and nothing else (distribution spec, token scope)."""
    realm = said.get("realm", "")
    if not realm.startswith("https://") and not (_is_here(host) and realm.startswith("http://")):
        raise ImageUnresolved(
            f"The registry {name.host} sends people for a token to {printable(realm)!r}, which is"
            " not https. Tell those who run it, or name the image by its digest."
        )
    query = {"service": said.get("service", ""), "scope": f"repository:{name.path}:pull"}
    headers = {"Authorization": _basic(credential)} if credential else {}
    answer = client.get(realm, params=query, headers=headers)
    try:
        document = answer.json() if answer.status_code == 200 else {}
        token = document.get("token") or document.get("access_token")
    except (ValueError, AttributeError):
        return None
    return f"Bearer {token}" if isinstance(token, str) else None


def _basic(credential: Credential) -> str:
    return "Basic " + b64encode(f"{credential.user}:{credential.password}".encode()).decode()


def _read(content: bytes, name: ImageName, platform: str) -> FoundImage:
    """The digest is of the bytes that came, whatever a header says of them."""
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    by = f"the registry {name.host}"
    repository = name.full_repository
    try:
        document = json.loads(content)
        kind = document.get("mediaType") or ""
        if kind in _INDEXES or "manifests" in document:
            chosen = _of_platform(document["manifests"], platform)
            return FoundImage(
                repository=repository, manifest_digest=chosen, index_digest=digest,
                platform=platform, by=by,
            )  # fmt: skip
        config = document["config"]["digest"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ImageUnresolved(
            f"{name.tagged} is no image at {name.host}, or none for {platform}. Look at what was"
            " pushed under this name."
        ) from None
    return FoundImage(
        repository=repository,
        manifest_digest=digest,
        config_digest=config if _DIGEST.fullmatch(str(config)) else None,
        platform=platform,
        by=by,
    )


def _of_platform(manifests: list[dict[str, Any]], platform: str) -> str:
    system, _, architecture = platform.partition("/")
    for one in manifests:
        said = one.get("platform") or {}
        if (said.get("os"), said.get("architecture")) == (system, architecture):
            digest = str(one["digest"])
            if _DIGEST.fullmatch(digest):
                return digest
    raise KeyError(platform)


def _reason(error: httpx.HTTPError) -> str:
    return printable(str(error)[:200]) or type(error).__name__
