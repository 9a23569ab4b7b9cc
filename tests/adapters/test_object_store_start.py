"""Buckets, the probe and wrong settings on a real Versity S3 Gateway."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from urllib.parse import parse_qs, urlsplit

import pytest

from animus.adapters.object_store import S3ObjectStore, utc_now
from animus.adapters.s3.settings import S3Settings
from animus.adapters.s3.transport import Call
from animus.domain.digests import sha256
from animus.domain.ids import ProjectId
from animus.ports import (
    ObjectStoreMisconfigured,
    ObjectStoreUnavailable,
)
from tests.adapters.clients import (
    BODY,
    MINUTES_10,
    opened,
    transport_of,
)
from tests.adapters.gateways import Gateway, running_gateway
from tests.support.ports import closed_port

pytestmark = pytest.mark.stack


# --- buckets and probe ----------------------------------------------------------------------


async def test_preparing_twice_changes_nothing(gateway: Gateway) -> None:
    async with opened(gateway.settings(bucket_prefix=f"t{token_hex(4)}")) as store:
        await store.prepare()
        await store.prepare()
        assert await store.is_ready()


async def test_many_processes_may_prepare_at_once(gateway: Gateway) -> None:
    settings = gateway.settings(bucket_prefix=f"t{token_hex(4)}")
    stores = [S3ObjectStore(settings) for _ in range(8)]
    await asyncio.gather(*(store.prepare() for store in stores))
    capabilities = await asyncio.gather(*(store.probe() for store in stores))
    await asyncio.gather(*(store.close() for store in stores))
    assert all(c.versioning and c.refuses_overwrite for c in capabilities)


async def test_the_log_bucket_has_object_lock(settings: S3Settings, store: S3ObjectStore) -> None:
    ask = Call(method="GET", bucket=settings.log, query=(("object-lock", ""),))
    with transport_of(settings) as transport:
        answer = await asyncio.to_thread(transport.send, ask)
    assert b"<ObjectLockEnabled>Enabled</ObjectLockEnabled>" in answer.body


async def test_a_log_bucket_without_object_lock_is_not_accepted(gateway: Gateway) -> None:
    settings = gateway.settings(bucket_prefix=f"t{token_hex(4)}")
    with transport_of(settings) as transport:
        await asyncio.to_thread(transport.send, Call(method="PUT", bucket=settings.log))
    async with opened(settings) as store:
        with pytest.raises(ObjectStoreMisconfigured, match="without Object Lock"):
            await store.prepare()


async def test_buckets_are_created_in_the_region_of_the_settings(tmp_path: Path) -> None:
    with running_gateway(tmp_path, region="eu-central-1") as gateway:
        async with opened(gateway.settings(bucket_prefix="elsewhere")) as store:
            await store.prepare()
            assert (await store.probe()).versioning
        wrong = replace(gateway.settings(bucket_prefix="elsewhere"), region="us-east-1")
        async with opened(wrong) as store:
            with pytest.raises(ObjectStoreMisconfigured, match="another region"):
                await store.prepare()


async def test_a_real_store_keeps_every_promise(store: S3ObjectStore, settings: S3Settings) -> None:
    capabilities = await store.probe()
    assert capabilities.checks_put_checksum
    assert capabilities.checks_length
    assert capabilities.refuses_overwrite
    assert capabilities.refuses_unsigned_copy
    assert capabilities.versioning
    with transport_of(settings) as transport:
        left = await asyncio.to_thread(transport.send, Call(method="GET", bucket=settings.staging))
    assert b"<Key>" not in left.body


# --- trouble --------------------------------------------------------------------------------


async def test_a_store_that_is_away_is_unavailable_and_worth_another_try(
    gateway: Gateway, project: ProjectId
) -> None:
    settings = replace(
        gateway.settings(bucket_prefix="away"), endpoint=f"http://127.0.0.1:{closed_port()}"
    )
    async with opened(settings) as store:
        assert not await store.is_ready()
        with pytest.raises(ObjectStoreUnavailable, match="can't be reached") as caught:
            await store.find_object(project, sha256(BODY))
    assert caught.value.retryable


@pytest.mark.parametrize(
    "change", [{"access_key": "somebody"}, {"secret_key": "wrong"}], ids=["access", "secret"]
)
async def test_a_key_that_is_not_accepted_is_named_and_never_taken_for_an_absent_object(
    settings: S3Settings, project: ProjectId, store: S3ObjectStore, change: dict[str, str]
) -> None:
    async with opened(replace(settings, **change)) as misconfigured:
        assert not await misconfigured.is_ready()
        with pytest.raises(ObjectStoreMisconfigured, match="access_key, secret_key"):
            await misconfigured.find_object(project, sha256(BODY))


async def test_an_upload_key_that_is_not_accepted_stops_the_start(settings: S3Settings) -> None:
    wrong = replace(settings, upload_access_key="somebody", upload_secret_key="else")
    async with opened(wrong) as store:
        with pytest.raises(ObjectStoreMisconfigured):
            await store.probe()


async def test_a_bucket_that_is_not_there_is_named(
    settings: S3Settings, project: ProjectId
) -> None:
    async with opened(replace(settings, bucket_prefix="nowhere")) as store:
        assert not await store.is_ready()
        with pytest.raises(ObjectStoreMisconfigured, match="no bucket 'nowhere-artifacts'"):
            await store.find_object(project, sha256(BODY))


async def test_clocks_that_differ_are_said_in_words(
    settings: S3Settings, store: S3ObjectStore, project: ProjectId
) -> None:
    async with opened(settings, now=lambda: utc_now() - timedelta(hours=1)) as late:
        with pytest.raises(ObjectStoreMisconfigured, match=r"clocks .* differ"):
            await late.find_object(project, sha256(BODY))


# --- secrets --------------------------------------------------------------------------------


def test_no_secret_is_shown(
    store: S3ObjectStore, settings: S3Settings, gateway: Gateway, project: ProjectId
) -> None:
    upload = store.presign_put(project, sha256(BODY), size=len(BODY), expires=MINUTES_10)
    download = store.presign_get(project, sha256(BODY), version_id="v", expires=MINUTES_10)
    for value, url in ((upload, upload.url), (download, download.url)):
        (signature,) = parse_qs(urlsplit(url).query)["X-Amz-Signature"]
        assert signature not in f"{value!r} {value}"
        assert sha256(BODY).hex() in repr(value)
    assert gateway.secret_key not in f"{settings!r} {store!r}"
