"""Reads objects and what the store says about them. Blocking; a reader can be told to stop."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Event

from animus.adapters.s3.faults import NOT_THERE, Refusal
from animus.adapters.s3.settings import SHA256_SIZE
from animus.adapters.s3.transport import Answer, Call, Transport
from animus.domain.digests import Digest, format_digest
from animus.domain.errors import TooLarge
from animus.ports import (
    ObjectContent,
    ObjectMissing,
    ObjectStoreMisconfigured,
    ObjectWrongDigest,
    ObjectWrongSize,
    StoredObject,
)

CHUNK = 1024 * 1024
_NO_VERSION = "null"  # S3's word for an object written while versioning was off


class Stopped(Exception):
    """Nobody waits for the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """One object, and the digest that its key announces."""

    bucket: str
    key: str
    sha256: Digest

    def __str__(self) -> str:
        return f"The content {format_digest(self.sha256)}"


def find(transport: Transport, location: Location) -> StoredObject | None:
    try:
        answer = transport.send(
            Call(
                method="HEAD",
                bucket=location.bucket,
                key=location.key,
                headers={"x-amz-checksum-mode": "ENABLED"},
            )
        )
    except Refusal as refusal:
        if refusal.code in NOT_THERE:
            return None
        raise
    version = answer.headers.get("x-amz-version-id")
    return StoredObject(
        size=_size(answer, location),
        version_id=None if version == _NO_VERSION else version,
        sha256=_whole_object_digest(answer.headers),
    )


def require_version(location: Location, found: StoredObject, *, size: int) -> str:
    """The version to verify, if its size is the announced one."""
    if found.version_id is None:
        raise ObjectStoreMisconfigured(
            f"The bucket {location.bucket!r} keeps no versions. Switch its versioning on again."
        )
    if found.size != size:
        raise ObjectWrongSize(
            f"{location} was announced with {size} bytes and the object store has {found.size}. "
            "Announce the right size, and upload again."
        )
    return found.version_id


def require_digest(location: Location, digest: Digest) -> None:
    if digest != location.sha256:
        raise ObjectWrongDigest(
            f"{location} was announced and the object store has other bytes: "
            f"{format_digest(digest)}. Announce the digest of what you upload."
        )


def missing(location: Location) -> ObjectMissing:
    return ObjectMissing(f"{location} is not in the object store. Upload it, then try again.")


def read(
    transport: Transport, location: Location, *, version_id: str, limit: int, stop: Event
) -> bytes:
    content = bytearray()
    for chunk in _chunks(transport, location, version_id=version_id, stop=stop):
        if len(content) + len(chunk) > limit:
            raise TooLarge(f"{location} has more than {limit} bytes, the most that is read here.")
        content += chunk
    require_digest(location, Digest(hashlib.sha256(content).digest()))
    return bytes(content)


def read_part(
    transport: Transport, location: Location, *, version_id: str, begin: int, size: int
) -> bytes:
    """A range that lies within the object (RFC 9110, section 14)."""
    call = Call(
        method="GET",
        bucket=location.bucket,
        key=location.key,
        query=(("versionId", version_id),),
        headers={"range": f"bytes={begin}-{begin + size - 1}"},
    )
    try:
        with transport.open(call) as response:
            return bytes(response.read(size))
    except Refusal as refusal:
        if refusal.code in NOT_THERE:
            raise missing(location) from None
        raise


def digest_content(
    transport: Transport, location: Location, *, version_id: str, stop: Event
) -> ObjectContent:
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(transport, location, version_id=version_id, stop=stop):
        digest.update(chunk)
        size += len(chunk)
    return ObjectContent(sha256=Digest(digest.digest()), size=size)


def discard(transport: Transport, location: Location, *, version_id: str) -> None:
    query = (("versionId", version_id),)
    try:
        transport.send(Call(method="DELETE", bucket=location.bucket, key=location.key, query=query))
    except Refusal as refusal:
        if refusal.code not in NOT_THERE:
            raise


def _chunks(
    transport: Transport, location: Location, *, version_id: str, stop: Event
) -> Iterator[bytes]:
    query = (("versionId", version_id),)
    call = Call(method="GET", bucket=location.bucket, key=location.key, query=query)
    try:
        with transport.open(call) as response:
            while chunk := response.read(CHUNK):
                if stop.is_set():
                    raise Stopped
                yield chunk
    except Refusal as refusal:
        if refusal.code in NOT_THERE:
            raise missing(location) from None
        raise


def _size(answer: Answer, location: Location) -> int:
    text = answer.headers.get("content-length", "")
    if not text.isdecimal():
        raise Refusal(status=answer.status, code=None, bucket=location.bucket)
    return int(text)


def _whole_object_digest(headers: Mapping[str, str]) -> Digest | None:
    """None for the digest of digests that a multipart upload leaves, and for one without type."""
    if headers.get("x-amz-checksum-type") != "FULL_OBJECT":
        return None
    try:
        digest = base64.b64decode(headers.get("x-amz-checksum-sha256", ""), validate=True)
    except ValueError:
        return None
    return Digest(digest) if len(digest) == SHA256_SIZE else None
