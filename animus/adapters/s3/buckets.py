"""The three buckets: creates those that are missing and sees that they are what they must be.

Through the `minio` client, which does this work well; it can't sign what uploads need signed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from minio import Minio
from minio.commonconfig import ENABLED
from minio.error import InvalidResponseError, S3Error, ServerError
from minio.versioningconfig import VersioningConfig
from urllib3 import PoolManager, Retry, Timeout

from animus.adapters.s3.faults import NO_LOCK, Refusal
from animus.adapters.s3.settings import Endpoint, S3Settings
from animus.adapters.s3.transport import CONNECT_SECONDS, READ_SECONDS, Call, Transport

_STATUS_ENABLED = re.compile(rb"<Status>\s*Enabled\s*</Status>")
_SETTLES = frozenset({"BucketAlreadyOwnedByYou", "OperationAborted", NO_LOCK})
_PAUSES = (0.1, 0.3, 1.0)
"""Seconds. A bucket that another process is just creating may be there without its settings, and
versitygw answers 500 meanwhile."""


def prepare_buckets(transport: Transport, settings: S3Settings, endpoint: Endpoint) -> None:
    """Idempotent, and safe in several processes at once."""
    client = _client(settings, endpoint)
    for pause in _PAUSES:
        try:
            return _prepare_once(client, transport, settings)
        except Refusal as refusal:
            if refusal.code not in _SETTLES and refusal.status < 500:
                raise
        time.sleep(pause)
    _prepare_once(client, transport, settings)


def has_versioning(transport: Transport, bucket: str) -> bool:
    answer = transport.send(Call(method="GET", bucket=bucket, query=(("versioning", ""),)))
    return _STATUS_ENABLED.search(answer.body) is not None


def _client(settings: S3Settings, endpoint: Endpoint) -> Minio:
    return Minio(
        endpoint.host,
        access_key=settings.access_key,
        secret_key=settings.secret_key,
        secure=endpoint.scheme == "https",
        region=settings.region,
        http_client=PoolManager(
            timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS), retries=Retry(total=1)
        ),
    )


def _prepare_once(client: Minio, transport: Transport, settings: S3Settings) -> None:
    _create_if_missing(client, transport, settings.staging, lock=False)
    _create_if_missing(client, transport, settings.artifacts, lock=False)
    _create_if_missing(client, transport, settings.log, lock=True)
    with _refusals(settings.artifacts):
        if client.get_bucket_versioning(settings.artifacts).status != ENABLED:
            client.set_bucket_versioning(settings.artifacts, VersioningConfig(ENABLED))
    # The client fails on a lock configuration without a default retention: asked by ourselves.
    transport.send(Call(method="GET", bucket=settings.log, query=(("object-lock", ""),)))


def _create_if_missing(client: Minio, transport: Transport, bucket: str, *, lock: bool) -> None:
    try:
        # Not `bucket_exists`: that is a HEAD, and an answer to a HEAD gives no reason.
        transport.send(Call(method="GET", bucket=bucket, query=(("location", ""),)))
    except Refusal as refusal:
        if refusal.code != "NoSuchBucket":
            raise
        with _refusals(bucket):
            client.make_bucket(bucket, object_lock=lock)


@contextmanager
def _refusals(bucket: str) -> Iterator[None]:
    """What the client raises for the store's answers, as ours: its messages quote hosts."""
    try:
        yield
    except S3Error as error:
        raise Refusal(status=error.response.status, code=error.code, bucket=bucket) from None
    except ServerError as error:
        raise Refusal(status=error.status_code, code=None, bucket=bucket) from None
    except InvalidResponseError:
        raise Refusal(status=400, code=None, bucket=bucket) from None
