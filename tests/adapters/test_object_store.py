"""Uploads, verification and downloads on a real Versity S3 Gateway."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from secrets import token_bytes
from uuid import uuid4

import httpx
import pytest

from animus.adapters.object_store import S3ObjectStore, utc_now
from animus.adapters.s3.settings import S3Settings, object_key
from animus.domain.digests import sha256
from animus.domain.errors import TooLarge
from animus.domain.ids import ProjectId
from animus.ports import (
    ObjectMissing,
    ObjectWrongDigest,
    ObjectWrongSize,
    VerifiedBy,
)
from tests.adapters.clients import (
    BODY,
    MINUTES_10,
    opened,
    send,
    uploaded,
    write_anything,
)
from tests.adapters.gateways import Gateway

pytestmark = pytest.mark.stack


# --- uploads --------------------------------------------------------------------------------


async def test_the_announced_bytes_are_taken_and_verified_by_the_store(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId
) -> None:
    verified = await uploaded(store, client, project)
    assert verified.verified_by is VerifiedBy.STORE_PUT
    found = await store.find_object(project, sha256(BODY))
    assert found is not None
    assert (found.size, found.sha256) == (len(BODY), sha256(BODY))
    assert found.version_id == verified.version_id


async def test_an_empty_content_is_a_content(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId
) -> None:
    verified = await uploaded(store, client, project, b"")
    version = verified.version_id
    assert await store.get_bytes(project, sha256(b""), version_id=version, limit=0) == b""


async def test_a_body_that_is_not_what_its_digest_says_is_refused(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId
) -> None:
    upload = store.presign_put(project, sha256(BODY), size=len(BODY), expires=MINUTES_10)
    response = await send(client, upload, token_bytes(len(BODY)))
    assert response.status_code == 400
    assert await store.find_object(project, sha256(BODY)) is None


@pytest.mark.parametrize("body", [BODY[:-1], BODY + b"."], ids=["shorter", "longer"])
async def test_a_body_of_another_length_is_refused(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId, body: bytes
) -> None:
    upload = store.presign_put(project, sha256(body), size=len(BODY), expires=MINUTES_10)
    response = await send(client, upload, body)
    assert response.status_code in (400, 403)
    assert await store.find_object(project, sha256(body)) is None


@pytest.mark.parametrize("header", ["x-amz-checksum-sha256", "if-none-match"])
async def test_an_upload_without_a_signed_header_is_refused(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId, header: str
) -> None:
    upload = store.presign_put(project, sha256(BODY), size=len(BODY), expires=MINUTES_10)
    response = await send(client, upload, BODY, without=header)
    assert response.status_code == 403
    assert await store.find_object(project, sha256(BODY)) is None


async def test_an_upload_with_another_checksum_header_is_refused(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId
) -> None:
    other = token_bytes(len(BODY))
    theirs = store.presign_put(project, sha256(other), size=len(BODY), expires=MINUTES_10)
    upload = store.presign_put(project, sha256(BODY), size=len(BODY), expires=MINUTES_10)
    changed = {"x-amz-checksum-sha256": theirs.headers["x-amz-checksum-sha256"]}
    response = await send(client, upload, other, changed=changed)
    assert response.status_code == 403
    assert await store.find_object(project, sha256(BODY)) is None


async def test_a_used_url_writes_nothing_more(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId
) -> None:
    upload = store.presign_put(project, sha256(BODY), size=len(BODY), expires=MINUTES_10)
    assert (await send(client, upload, BODY)).status_code == 200
    before = await store.find_object(project, sha256(BODY))
    assert (await send(client, upload, BODY)).status_code == 412
    assert await store.find_object(project, sha256(BODY)) == before


async def test_of_many_uploads_at_once_exactly_one_is_taken(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId
) -> None:
    upload = store.presign_put(project, sha256(BODY), size=len(BODY), expires=MINUTES_10)
    answers = await asyncio.gather(*(send(client, upload, BODY) for _ in range(8)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {409, 412}


async def test_an_expired_url_is_refused(
    settings: S3Settings, client: httpx.AsyncClient, project: ProjectId
) -> None:
    async with opened(settings, now=lambda: utc_now() - timedelta(minutes=11)) as earlier:
        upload = earlier.presign_put(project, sha256(BODY), size=len(BODY), expires=MINUTES_10)
    assert upload.expires_at < utc_now()
    assert (await send(client, upload, BODY)).status_code == 403


async def test_a_url_opens_no_other_projects_key(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId
) -> None:
    other = ProjectId(uuid4())
    upload = store.presign_put(project, sha256(BODY), size=len(BODY), expires=MINUTES_10)
    url = upload.url.replace(str(project), str(other))
    assert (await send(client, upload, BODY, url=url)).status_code == 403
    assert await store.find_object(other, sha256(BODY)) is None


async def test_a_url_cannot_copy_another_projects_object(
    store: S3ObjectStore, settings: S3Settings, client: httpx.AsyncClient, project: ProjectId
) -> None:
    """Whoever knows a digest, from an evidence bundle say, must not get its bytes for that."""
    await uploaded(store, client, project)
    thief = ProjectId(uuid4())
    upload = store.presign_put(thief, sha256(BODY), size=0, expires=MINUTES_10)
    source = f"/{settings.artifacts}/{object_key(project, sha256(BODY))}"
    response = await send(client, upload, b"", changed={"x-amz-copy-source": source})
    assert response.status_code == 403
    assert await store.find_object(thief, sha256(BODY)) is None


@pytest.mark.parametrize(
    "header",
    [
        {"x-amz-checksum-algorithm": "SHA1"},
        {"x-amz-acl": "public-read"},
        {"x-amz-tagging": "owner=me"},
        {"x-amz-object-lock-legal-hold": "ON"},
        {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
    ],
    ids=lambda header: next(iter(header)),
)
async def test_headers_that_were_not_signed_are_refused(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId, header: dict[str, str]
) -> None:
    upload = store.presign_put(project, sha256(BODY), size=len(BODY), expires=MINUTES_10)
    assert (await send(client, upload, BODY, changed=header)).status_code == 403


def test_more_than_one_put_can_hold_is_not_signed(store: S3ObjectStore, project: ProjectId) -> None:
    with pytest.raises(TooLarge, match="5 GiB"):
        store.presign_put(project, sha256(BODY), size=5 * 1024**3 + 1, expires=MINUTES_10)


def test_something_that_is_no_sha256_is_not_signed(
    store: S3ObjectStore, project: ProjectId
) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        store.presign_put(project, b"\0" * 31, size=1, expires=MINUTES_10)


# --- verification ---------------------------------------------------------------------------


async def test_what_was_not_uploaded_is_missing(store: S3ObjectStore, project: ProjectId) -> None:
    with pytest.raises(ObjectMissing, match="Upload it"):
        await store.verify(project, sha256(BODY), size=len(BODY))


async def test_another_size_than_announced_is_not_verified(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId
) -> None:
    await uploaded(store, client, project)
    with pytest.raises(ObjectWrongSize, match=f"{len(BODY) + 1} bytes .* has {len(BODY)}"):
        await store.verify(project, sha256(BODY), size=len(BODY) + 1)


async def test_bytes_under_a_wrong_key_are_not_verified(
    store: S3ObjectStore, settings: S3Settings, project: ProjectId
) -> None:
    await asyncio.to_thread(write_anything, settings, project, sha256(BODY), b"x" * len(BODY))
    with pytest.raises(ObjectWrongDigest, match=hashlib.sha256(b"x" * len(BODY)).hexdigest()):
        await store.verify(project, sha256(BODY), size=len(BODY))


async def test_an_object_without_the_stores_own_sha256_is_read_to_be_verified(
    store: S3ObjectStore, settings: S3Settings, project: ProjectId
) -> None:
    await asyncio.to_thread(write_anything, settings, project, sha256(BODY), BODY)
    found = await store.find_object(project, sha256(BODY))
    assert found is not None
    assert found.sha256 is None
    verified = await store.verify(project, sha256(BODY), size=len(BODY))
    assert verified.verified_by is VerifiedBy.STREAM


async def test_a_store_that_was_not_probed_is_not_believed(
    store: S3ObjectStore, settings: S3Settings, client: httpx.AsyncClient, project: ProjectId
) -> None:
    await uploaded(store, client, project)
    async with opened(settings) as unprobed:
        verified = await unprobed.verify(project, sha256(BODY), size=len(BODY))
    assert verified.verified_by is VerifiedBy.STREAM


async def test_a_discarded_upload_frees_its_key(
    store: S3ObjectStore, settings: S3Settings, client: httpx.AsyncClient, project: ProjectId
) -> None:
    await asyncio.to_thread(write_anything, settings, project, sha256(BODY), b"wrong")
    upload = store.presign_put(project, sha256(BODY), size=len(BODY), expires=MINUTES_10)
    assert (await send(client, upload, BODY)).status_code == 412
    found = await store.find_object(project, sha256(BODY))
    assert found is not None
    assert found.version_id is not None
    for _ in range(2):
        await store.discard(project, sha256(BODY), version_id=found.version_id)
    assert await store.find_object(project, sha256(BODY)) is None
    await uploaded(store, client, project)


# --- reads ----------------------------------------------------------------------------------


async def test_a_version_stays_readable_after_the_key_was_written_again(
    store: S3ObjectStore, settings: S3Settings, client: httpx.AsyncClient, project: ProjectId
) -> None:
    first = await uploaded(store, client, project)
    await asyncio.to_thread(write_anything, settings, project, sha256(BODY), b"forged")
    newest = await store.find_object(project, sha256(BODY))
    assert newest is not None
    assert newest.version_id != first.version_id
    content = await store.get_bytes(
        project, sha256(BODY), version_id=first.version_id, limit=len(BODY)
    )
    assert content == BODY
    download = store.presign_get(
        project, sha256(BODY), version_id=first.version_id, expires=MINUTES_10
    )
    assert (await client.get(download.url)).content == BODY


async def test_bytes_that_are_not_what_their_key_says_are_not_returned(
    store: S3ObjectStore, settings: S3Settings, project: ProjectId
) -> None:
    await asyncio.to_thread(write_anything, settings, project, sha256(BODY), b"forged")
    found = await store.find_object(project, sha256(BODY))
    assert found is not None
    assert found.version_id is not None
    with pytest.raises(ObjectWrongDigest):
        await store.get_bytes(project, sha256(BODY), version_id=found.version_id, limit=100)


async def test_a_document_over_the_limit_is_not_read(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId
) -> None:
    body = token_bytes(3 * 1024 * 1024)
    version = (await uploaded(store, client, project, body)).version_id
    with pytest.raises(TooLarge, match="more than 1048576 bytes"):
        await store.get_bytes(project, sha256(body), version_id=version, limit=1024 * 1024)
    exactly = await store.get_bytes(project, sha256(body), version_id=version, limit=len(body))
    assert exactly == body


async def test_reading_every_byte_tells_digest_and_size(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId
) -> None:
    body = token_bytes(5 * 1024 * 1024 + 1)
    version = (await uploaded(store, client, project, body)).version_id
    content = await store.stream_digest(project, sha256(body), version_id=version)
    assert (content.sha256, content.size) == (sha256(body), len(body))


async def test_a_version_that_is_not_there_is_missing(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId
) -> None:
    version = (await uploaded(store, client, project)).version_id
    await store.discard(project, sha256(BODY), version_id=version)
    with pytest.raises(ObjectMissing):
        await store.get_bytes(project, sha256(BODY), version_id=version, limit=100)
    with pytest.raises(ObjectMissing):
        await store.stream_digest(project, sha256(BODY), version_id=version)


async def test_a_download_is_an_attachment_of_plain_bytes_whatever_the_uploader_said(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId
) -> None:
    upload = store.presign_put(project, sha256(BODY), size=len(BODY), expires=MINUTES_10)
    claims = {"content-type": "text/html", "content-encoding": "gzip"}
    assert (await send(client, upload, BODY, changed=claims)).status_code == 200
    version = (await store.verify(project, sha256(BODY), size=len(BODY))).version_id
    assert await store.get_bytes(project, sha256(BODY), version_id=version, limit=100) == BODY
    download = store.presign_get(
        project, sha256(BODY), version_id=version, expires=MINUTES_10, filename='ünsafe".html'
    )
    response = await client.get(download.url)
    assert response.content == BODY
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == (
        "attachment; filename=\"_nsafe_.html\"; filename*=UTF-8''%C3%BCnsafe%22.html"
    )
    assert response.headers["cache-control"] == "private, no-store"


async def test_a_download_url_reads_no_other_version_and_nothing_after_its_time(
    store: S3ObjectStore, settings: S3Settings, client: httpx.AsyncClient, project: ProjectId
) -> None:
    version = (await uploaded(store, client, project)).version_id
    download = store.presign_get(project, sha256(BODY), version_id=version, expires=MINUTES_10)
    assert (await client.get(download.url.replace(version, version[::-1]))).status_code == 403
    async with opened(settings, now=lambda: utc_now() - timedelta(minutes=11)) as earlier:
        late = earlier.presign_get(project, sha256(BODY), version_id=version, expires=MINUTES_10)
    assert (await client.get(late.url)).status_code == 403


async def test_urls_are_for_the_public_endpoint_and_for_no_other(
    store: S3ObjectStore, gateway: Gateway, client: httpx.AsyncClient, project: ProjectId
) -> None:
    assert gateway.endpoint != gateway.public_endpoint
    upload = store.presign_put(project, sha256(BODY), size=len(BODY), expires=MINUTES_10)
    assert upload.url.startswith(gateway.public_endpoint + "/")
    internal = upload.url.replace(gateway.public_endpoint, gateway.endpoint)
    assert (await send(client, upload, BODY, url=internal)).status_code == 403
    assert (await send(client, upload, BODY)).status_code == 200
