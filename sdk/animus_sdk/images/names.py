"""Names of images as people write them, and as registries know them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from animus_sdk.errors import SettingsUnfit
from animus_sdk.printable import printable

DEFAULT_TAG = "latest"
DOCKER_HUB = "docker.io"
LOCAL = "localhost"
"""Without a port: what podman calls images that come from no registry."""
LONGEST = 500
_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_REPOSITORY = rf"[a-z0-9][A-Za-z0-9._-]*(?::[0-9]+(?=/))?(?:/{_WORD})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_NAME = re.compile(rf"({_REPOSITORY})(?::({_TAG}))?(?:@(sha256:[0-9a-f]{{64}}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageName:
    repository: str
    """As it was written, without tag and digest."""
    tag: str
    digest: str | None

    @property
    def full_repository(self) -> str:
        return full_repository(self.repository)

    @property
    def host(self) -> str:
        return self.full_repository.partition("/")[0]

    @property
    def path(self) -> str:
        return self.full_repository.partition("/")[2]

    @property
    def tagged(self) -> str:
        """As an engine is asked: the name stays short, because engines resolve those themselves."""
        return f"{self.repository}:{self.tag}"


def parse_image_name(text: str) -> ImageName:
    """Raises `SettingsUnfit` for what is no image's name."""
    found = _NAME.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        raise SettingsUnfit(
            "An image is written as NAME, NAME:TAG or NAME@sha256:…, such as"
            f" registry.example/team/train:1.4, not {printable(text[:LONGEST])!r}.",
            code="usage",
        )
    repository, tag, digest = found.groups()
    return ImageName(repository=repository, tag=tag or DEFAULT_TAG, digest=digest)


def full_repository(written: str) -> str:
    """With all that people and engines leave out of a name."""
    first, _, rest = written.partition("/")
    if rest and ("." in first or ":" in first or first == LOCAL):
        return written
    return f"{DOCKER_HUB}/{written}" if rest else f"{DOCKER_HUB}/library/{written}"
