"""The composition root: which adapter stands behind which port, and nothing else.

Knows no Temporal: the api is wired here too, and must not load its client (see `workers`).
"""

from __future__ import annotations

from datetime import UTC, datetime

from animus.adapters.object_store import S3ObjectStore
from animus.adapters.s3.settings import S3Settings
from animusd.settings import ObjectStoreSection


def utc_now() -> datetime:
    return datetime.now(UTC)


def object_store(section: ObjectStoreSection) -> S3ObjectStore:
    upload_secret = section.upload_secret_key
    return S3ObjectStore(
        S3Settings(
            endpoint=section.endpoint,
            public_endpoint=section.public_endpoint,
            access_key=section.access_key,
            secret_key=section.secret_key.get_secret_value(),
            region=section.region,
            bucket_prefix=section.bucket_prefix,
            upload_access_key=section.upload_access_key,
            upload_secret_key=upload_secret.get_secret_value() if upload_secret else None,
        )
    )
