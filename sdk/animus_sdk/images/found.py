"""An image that was found: its digests, and who said so."""

from __future__ import annotations

from dataclasses import dataclass

from animus_sdk.errors import AnimusError

DEFAULT_PLATFORM = "linux/amd64"
PLATFORMS = (DEFAULT_PLATFORM, "linux/arm64")


class ImageNotFound(AnimusError):
    default_code = "image_not_found"


class ImageUnresolved(AnimusError):
    """Somebody who was asked for the image did not answer as one should."""

    default_code = "image_unresolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundImage:
    repository: str
    manifest_digest: str
    """Of the image for the platform, as far as the one who was asked tells them apart."""
    index_digest: str | None = None
    config_digest: str | None = None
    platform: str = DEFAULT_PLATFORM
    by: str
    """In words: 'podman', 'the registry registry.example', 'as written'."""

    @property
    def reference(self) -> str:
        return f"{self.repository}@{self.manifest_digest}"

    def locked(self, name: str) -> dict[str, str]:
        """As an environment lock names it."""
        said = {
            "name": name,
            "repository": self.repository,
            "platform": self.platform,
            "manifest_digest": self.manifest_digest,
            "index_digest": self.index_digest,
            "config_digest": self.config_digest,
        }
        return {key: value for key, value in said.items() if value is not None}
