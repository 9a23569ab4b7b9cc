"""AWS Signature Version 4, as S3 does it: one signer for headers and for presigned URLs.

Pure: the caller gives the time. Paths are encoded once and never normalised, which is the rule
for S3 and differs from the other AWS services. Source: "Authenticating Requests (AWS Signature
Version 4)" in the Amazon S3 API reference.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_PAYLOAD = hashlib.sha256(b"").hexdigest()
MAX_EXPIRES = timedelta(days=7)
_UNRESERVED = "-_.~"

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """An access key and the scope it signs for."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str
    service: str = "s3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is signed of a request: path and query decoded, header names in any case."""

    method: str
    path: str
    query: Pairs = ()
    headers: Mapping[str, str]
    payload: str = UNSIGNED_PAYLOAD
    """Hex SHA-256 of the body, or `UNSIGNED_PAYLOAD`."""


def authorization(request: Request, key: SigningKey, *, at: datetime) -> str:
    """The `Authorization` header. `request.headers` must hold `host` and `x-amz-date`."""
    return (
        f"{ALGORITHM} Credential={_credential(key, at)}, "
        f"SignedHeaders={signed_headers(request.headers)}, Signature={signature(request, key, at)}"
    )


def presigned_query(request: Request, key: SigningKey, *, at: datetime, expires: timedelta) -> str:
    """The complete query string of a presigned URL; every header of the request is signed."""
    seconds = int(expires.total_seconds())
    if not 0 < seconds <= MAX_EXPIRES.total_seconds():
        raise ValueError(f"a presigned URL lives from 1 second to {MAX_EXPIRES.days} days")
    query = (*request.query, *_presign_parameters(request, key, at=at, seconds=seconds))
    whole = Request(
        method=request.method,
        path=request.path,
        query=query,
        headers=request.headers,
        payload=request.payload,
    )
    return f"{canonical_query(query)}&X-Amz-Signature={signature(whole, key, at)}"


def signature(request: Request, key: SigningKey, at: datetime) -> str:
    text = string_to_sign(request, key, at).encode()
    return hmac.new(_derived_key(key, at), text, hashlib.sha256).hexdigest()


def string_to_sign(request: Request, key: SigningKey, at: datetime) -> str:
    digest = hashlib.sha256(canonical_request(request).encode()).hexdigest()
    return "\n".join((ALGORITHM, amz_date(at), _scope(key, at), digest))


def canonical_request(request: Request) -> str:
    headers = sorted((name.lower(), _trimmed(value)) for name, value in request.headers.items())
    return "\n".join(
        (
            request.method,
            encode_path(request.path),
            canonical_query(request.query),
            *(f"{name}:{value}" for name, value in headers),
            "",
            signed_headers(request.headers),
            request.payload,
        )
    )


def canonical_query(query: Pairs) -> str:
    """Sorted by encoded name, then encoded value; not by the joined text, where `-` < `=`."""
    encoded = sorted((quote(n, safe=_UNRESERVED), quote(v, safe=_UNRESERVED)) for n, v in query)
    return "&".join(f"{name}={value}" for name, value in encoded)


def encode_path(path: str) -> str:
    return quote(path, safe="/" + _UNRESERVED)


def signed_headers(names: Iterable[str]) -> str:
    return ";".join(sorted(name.lower() for name in names))


def amz_date(at: datetime) -> str:
    return at.strftime("%Y%m%dT%H%M%SZ")


def _presign_parameters(request: Request, key: SigningKey, *, at: datetime, seconds: int) -> Pairs:
    return (
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", _credential(key, at)),
        ("X-Amz-Date", amz_date(at)),
        ("X-Amz-Expires", str(seconds)),
        ("X-Amz-SignedHeaders", signed_headers(request.headers)),
    )


def _credential(key: SigningKey, at: datetime) -> str:
    return f"{key.access_key}/{_scope(key, at)}"


def _scope(key: SigningKey, at: datetime) -> str:
    return f"{at:%Y%m%d}/{key.region}/{key.service}/aws4_request"


def _derived_key(key: SigningKey, at: datetime) -> bytes:
    derived = f"AWS4{key.secret_key}".encode()
    for part in (f"{at:%Y%m%d}", key.region, key.service, "aws4_request"):
        derived = hmac.digest(derived, part.encode(), "sha256")
    return derived


def _trimmed(value: str) -> str:
    return " ".join(value.split())
