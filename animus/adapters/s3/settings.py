"""What an installation says about its object store, checked once; bucket names and object keys."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from animus.adapters.s3.signing import SigningKey
from animus.domain.ids import ProjectId
from animus.ports import ObjectStoreMisconfigured

DEFAULT_PORTS = {"http": 80, "https": 443}
SHA256_SIZE = 32
_PREFIX = re.compile(r"[a-z0-9][a-z0-9-]{1,50}")  # S3: at most 63 characters with our suffixes


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a store is reached: `http://host[:port]`, without a path."""

    scheme: str
    host: str
    """As clients write it into the `Host` header, which is signed: no default port."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    @classmethod
    def parse(cls, name: str, text: str) -> Self:
        """`name` is the setting's, for the message. The text may hold a password: never shown."""
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise _bad_endpoint(name) from None
        extra = (parts.username, parts.password, parts.path.strip("/"), parts.query, parts.fragment)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname or any(extra):
            raise _bad_endpoint(name)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        default = port is None or port == DEFAULT_PORTS[parts.scheme]
        return cls(scheme=parts.scheme, host=host if default else f"{host}:{port}")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Settings:
    """`endpoint` is ours; `public_endpoint` is the one that clients, steps and browsers reach.

    The upload key, if there is one, signs uploads only and may be limited to writing. A store
    that obeys unsigned headers (MinIO) needs it.
    """

    endpoint: str
    public_endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str
    bucket_prefix: str = "animus"
    upload_access_key: str | None = None
    upload_secret_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        Endpoint.parse("endpoint", self.endpoint)
        Endpoint.parse("public_endpoint", self.public_endpoint)
        if not _PREFIX.fullmatch(self.bucket_prefix):
            raise ObjectStoreMisconfigured(
                "The object store's bucket_prefix has 2 to 51 lower-case letters, digits or '-', "
                "and begins with a letter or digit."
            )
        if (self.upload_access_key is None) != (self.upload_secret_key is None):
            raise ObjectStoreMisconfigured(
                "Set both upload_access_key and upload_secret_key of the object store, or neither."
            )

    @property
    def staging(self) -> str:
        return f"{self.bucket_prefix}-staging"

    @property
    def artifacts(self) -> str:
        return f"{self.bucket_prefix}-artifacts"

    @property
    def log(self) -> str:
        return f"{self.bucket_prefix}-log"

    def signing_key(self) -> SigningKey:
        return SigningKey(
            access_key=self.access_key, secret_key=self.secret_key, region=self.region
        )

    def upload_key(self) -> SigningKey:
        if self.upload_access_key is None or self.upload_secret_key is None:
            return self.signing_key()
        return SigningKey(
            access_key=self.upload_access_key,
            secret_key=self.upload_secret_key,
            region=self.region,
        )


def object_key(project_id: ProjectId, sha256: bytes) -> str:
    """Where a content is kept. Projects share nothing: a shared key would tell what others have."""
    if len(sha256) != SHA256_SIZE:
        raise ValueError("a SHA-256 has 32 bytes")
    return f"{project_id}/sha256/{sha256.hex()}"


def _bad_endpoint(name: str) -> ObjectStoreMisconfigured:
    return ObjectStoreMisconfigured(
        f"The object store's {name} is written as 'http://host:port' or 'https://host', "
        "without user, path or query."
    )
