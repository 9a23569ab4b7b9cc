"""What a client does with the URLs it gets, and what only the holder of the store's key can do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta

import httpx

from animus.adapters.object_store import S3ObjectStore, utc_now
from animus.adapters.s3.settings import Endpoint, S3Settings, object_key
from animus.adapters.s3.transport import Call, Transport
from animus.domain.digests import sha256
from animus.domain.ids import ProjectId
from animus.ports import ObjectStore, PresignedPut, VerifiedObject

MINUTES_10 = timedelta(minutes=10)
BODY = b"the artifact's bytes"


@asynccontextmanager
async def opened(
    settings: S3Settings, *, now: Callable[[], datetime] = utc_now
) -> AsyncIterator[S3ObjectStore]:
    store = S3ObjectStore(settings, now=now)
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def transport_of(settings: S3Settings) -> Iterator[Transport]:
    endpoint = Endpoint.parse("endpoint", settings.endpoint)
    transport = Transport(endpoint, settings.signing_key(), now=utc_now, connections=1)
    try:
        yield transport
    finally:
        transport.close()


async def send(
    client: httpx.AsyncClient,
    upload: PresignedPut,
    body: bytes,
    *,
    without: str | None = None,
    changed: dict[str, str] | None = None,
    url: str | None = None,
) -> httpx.Response:
    """Use the upload URL; the client computes the length of what it really sends."""
    headers = {k: v for k, v in upload.headers.items() if k not in ("content-length", without)}
    return await client.request(
        upload.method, url or upload.url, content=body, headers=headers | (changed or {})
    )


async def uploaded(
    store: ObjectStore, client: httpx.AsyncClient, project: ProjectId, body: bytes = BODY
) -> VerifiedObject:
    upload = store.presign_put(project, sha256(body), size=len(body), expires=MINUTES_10)
    response = await send(client, upload, body)
    assert response.status_code == 200, response.text
    return await store.verify(project, sha256(body), size=len(body))


def write_anything(settings: S3Settings, project: ProjectId, digest: bytes, body: bytes) -> None:
    """What only the holder of the store's own key can do."""
    key = object_key(project, digest)
    with transport_of(settings) as transport:
        transport.send(Call(method="PUT", bucket=settings.artifacts, key=key, body=body))
