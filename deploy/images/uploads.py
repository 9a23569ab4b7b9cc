"""Pushes an image layout to a registry, over TLS, as one user.

Source: OCI distribution-spec v1.1, "Pushing blobs" and "Pushing manifests".
"""

from __future__ import annotations

import http.client
import json
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

from deploy.embedded.errors import StackError
from deploy.images.layouts import MANIFEST, ImageLayout

PATIENCE = 120.0
_SAID = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Where images are pushed to and pulled from, and as whom."""

    address: str
    """`host:port`, with which references to its images begin."""
    authority: Path
    """The certificate of who vouches for it."""
    user: str
    password: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """As HTTP's basic authentication has it, and pull secrets too."""
        return b64encode(f"{self.user}:{self.password}".encode()).decode()


def push_image(image: ImageLayout, registry: Registry, *, tag: str | None = None) -> str:
    """The image's reference there, by digest. A tag moves to it. Raises `StackError`.

    What the registry has is not sent again.
    """
    blobs = image.path / "blobs" / "sha256"
    manifest = (blobs / _hex(image.manifest_digest)).read_bytes()
    described = json.loads(manifest)
    try:
        for part in (described["config"], *described["layers"]):
            _push_blob(registry, image.name, part["digest"], blobs / _hex(part["digest"]))
        for name in (image.manifest_digest, *([tag] if tag else [])):
            path = f"/v2/{image.name}/manifests/{name}"
            _ask(registry, "PUT", path, manifest, expected=201, headers={"Content-Type": MANIFEST})
    except (OSError, http.client.HTTPException) as error:
        raise StackError(f"The registry {registry.address} does not answer: {error}") from error
    return f"{registry.address}/{image.name}@{image.manifest_digest}"


def _push_blob(registry: Registry, name: str, digest: str, file: Path) -> None:
    there = _send(registry, "HEAD", f"/v2/{name}/blobs/{digest}")
    if there.status == http.client.OK:
        return
    begun = _ask(registry, "POST", f"/v2/{name}/blobs/uploads/", expected=202)
    place = begun.headers["Location"]
    place += ("&" if "?" in place else "?") + urlencode({"digest": digest})
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(file.stat().st_size),
    }
    with file.open("rb") as content:
        _ask(registry, "PUT", place, content, expected=201, headers=headers)


def _ask(
    registry: Registry,
    method: str,
    path: str,
    body: bytes | BinaryIO | None = None,
    *,
    expected: int,
    headers: dict[str, str] | None = None,
) -> _Answer:
    answer = _send(registry, method, path, body, headers=headers)
    if answer.status != expected:
        raise StackError(
            f"The registry {registry.address} refuses {method} {path.partition('?')[0]}: "
            f"{answer.status} {answer.said}"
        )
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    said: str
    headers: http.client.HTTPMessage


def _send(
    registry: Registry,
    method: str,
    path: str,
    body: bytes | BinaryIO | None = None,
    *,
    headers: dict[str, str] | None = None,
) -> _Answer:
    tls = ssl.create_default_context(cafile=str(registry.authority))
    connection = http.client.HTTPSConnection(registry.address, timeout=PATIENCE, context=tls)
    signed = {"Authorization": f"Basic {registry.authorization}"} | (headers or {})
    try:
        connection.request(method, path, body=body, headers=signed)
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace")[:_SAID]
        return _Answer(status=answer.status, said=said, headers=answer.headers)
    finally:
        connection.close()


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")
