"""The three buckets: creates those that are missing and sees that they are what they must be."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from animus.adapters.s3.faults import NO_LOCK, Refusal
from animus.adapters.s3.settings import S3Settings
from animus.adapters.s3.transport import Call, Transport

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_DEFAULT_REGION = "us-east-1"  # the one that S3 does not want to be told
_WITH_LOCK = {"x-amz-bucket-object-lock-enabled": "true"}
_ENABLED = re.compile(rb"<Status>\s*Enabled\s*</Status>")
_SETTLES = frozenset({"BucketAlreadyOwnedByYou", "OperationAborted", NO_LOCK})
_PAUSES = (0.1, 0.3, 1.0)
"""Seconds. A bucket that another process is just creating may be there without its settings, and
versitygw answers 500 meanwhile."""


def prepare_buckets(transport: Transport, settings: S3Settings) -> None:
    """Idempotent, and safe in several processes at once."""
    for pause in _PAUSES:
        try:
            return _prepare_once(transport, settings)
        except Refusal as refusal:
            if refusal.code not in _SETTLES and refusal.status < 500:
                raise
        time.sleep(pause)
    _prepare_once(transport, settings)


def has_versioning(transport: Transport, bucket: str) -> bool:
    answer = transport.send(Call(method="GET", bucket=bucket, query=(("versioning", ""),)))
    return _ENABLED.search(answer.body) is not None


def _prepare_once(transport: Transport, settings: S3Settings) -> None:
    _create_if_missing(transport, settings, settings.staging, headers={})
    _create_if_missing(transport, settings, settings.artifacts, headers={})
    _create_if_missing(transport, settings, settings.log, headers=_WITH_LOCK)
    if not has_versioning(transport, settings.artifacts):
        _enable_versioning(transport, settings.artifacts)
    transport.send(Call(method="GET", bucket=settings.log, query=(("object-lock", ""),)))


def _create_if_missing(
    transport: Transport, settings: S3Settings, bucket: str, *, headers: Mapping[str, str]
) -> None:
    try:
        transport.send(Call(method="GET", bucket=bucket, query=(("location", ""),)))
    except Refusal as refusal:
        if refusal.code != "NoSuchBucket":
            raise
        body = _location(settings.region) if settings.region != _DEFAULT_REGION else b""
        transport.send(Call(method="PUT", bucket=bucket, headers=headers, body=body))


def _location(region: str) -> bytes:
    return (
        f'<CreateBucketConfiguration xmlns="{_NAMESPACE}">'
        f"<LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
    ).encode()


def _enable_versioning(transport: Transport, bucket: str) -> None:
    body = (
        f'<VersioningConfiguration xmlns="{_NAMESPACE}">'
        "<Status>Enabled</Status></VersioningConfiguration>"
    ).encode()
    transport.send(Call(method="PUT", bucket=bucket, query=(("versioning", ""),), body=body))
