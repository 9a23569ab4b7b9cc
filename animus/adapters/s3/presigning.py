"""Permissions as URLs: to upload exactly one content, to download exactly one version."""

from __future__ import annotations

import base64
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from animus.adapters.s3.settings import Endpoint
from animus.adapters.s3.signing import Request, SigningKey, encode_path, presigned_query
from animus.domain.errors import TooLarge
from animus.ports import PresignedGet, PresignedPut

MAX_PUT = 5 * 1024**3
"""Bytes of one PUT, which is S3's limit."""
MAX_FILENAME = 150
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Presigner:
    """Signs for one endpoint. The host is signed, so it must be the one that the client uses."""

    endpoint: Endpoint
    download_key: SigningKey
    upload_key: SigningKey

    def put(
        self, path: str, sha256: bytes, *, size: int, at: datetime, expires: timedelta
    ) -> PresignedPut:
        """Every header is signed: another body, length or a second upload is refused."""
        if not 0 <= size <= MAX_PUT:
            raise TooLarge(
                f"One upload holds at most {MAX_PUT // 1024**3} GiB. Split the content into files."
            )
        headers = {
            "content-length": str(size),
            "if-none-match": "*",
            "x-amz-checksum-sha256": base64.b64encode(sha256).decode(),
        }
        request = Request(method="PUT", path=path, headers={**headers, "host": self.endpoint.host})
        query = presigned_query(request, self.upload_key, at=at, expires=expires)
        return PresignedPut(url=self._url(path, query), headers=headers, expires_at=at + expires)

    def get(
        self,
        path: str,
        *,
        version_id: str,
        at: datetime,
        expires: timedelta,
        filename: str | None = None,
    ) -> PresignedGet:
        """The answer's headers are ours: an uploader may have stored `text/html`, or a content
        encoding that makes clients decode what they should hash."""
        parameters = (
            ("versionId", version_id),
            ("response-cache-control", "private, no-store"),
            ("response-content-disposition", content_disposition(filename)),
            ("response-content-encoding", "identity"),
            ("response-content-type", "application/octet-stream"),
        )
        headers = {"host": self.endpoint.host}
        request = Request(method="GET", path=path, query=parameters, headers=headers)
        query = presigned_query(request, self.download_key, at=at, expires=expires)
        return PresignedGet(url=self._url(path, query), expires_at=at + expires)

    def _url(self, path: str, query: str) -> str:
        return f"{self.endpoint.url}{encode_path(path)}?{query}"


def content_disposition(filename: str | None) -> str:
    """RFC 6266, always `attachment`: what a run produced never opens inside the store's origin."""
    name = _safe_name(filename or "")
    if not name:
        return "attachment"
    plain = _NOT_PLAIN.sub("_", name)
    if plain == name:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _safe_name(filename: str) -> str:
    """The last path segment without control, format and unassigned characters (which reorder or
    hide text), and without leading dots."""
    last = re.split(r"[/\\]", filename)[-1]
    visible = "".join(c for c in last if not unicodedata.category(c).startswith("C"))
    return visible.strip(" .")[:MAX_FILENAME]
