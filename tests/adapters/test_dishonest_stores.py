"""What Animus notices about stores that break promises, fail, or are no stores at all."""

from __future__ import annotations

import asyncio
import traceback
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from threading import Event
from uuid import uuid4

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from animus.adapters.object_store import S3ObjectStore
from animus.adapters.s3 import objects
from animus.adapters.s3.objects import Location, Stopped
from animus.adapters.s3.settings import S3Settings, object_key
from animus.domain.digests import sha256
from animus.domain.ids import ProjectId
from animus.ports import (
    ObjectStoreMisconfigured,
    ObjectStoreUnavailable,
    ObjectStoreUnfit,
    ObjectWrongDigest,
    VerifiedBy,
)
from tests.adapters.clients import BODY, MINUTES_10, opened, send, transport_of
from tests.adapters.dishonest_stores import Behaviour, dishonest_store
from tests.adapters.gateways import running_gateway
from tests.support.ports import closed_port

PROJECT = ProjectId(uuid4())


@pytest.fixture
def unchecked() -> Iterator[S3Settings]:
    """Refuses overwriting, and believes whatever the checksum header says."""
    with dishonest_store(Behaviour(obeys_if_none_match=True)) as settings:
        yield settings


# --- promises -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "complaint"),
    [
        (Behaviour(), "overwrite"),
        (Behaviour(knows_if_none_match=False), "overwrite"),
        (Behaviour(obeys_if_none_match=True, obeys_copies=True), "another project"),
        (Behaviour(obeys_if_none_match=True, keeps_versions=False), "keeps no versions"),
    ],
    ids=["accepts anything", "knows no conditions", "copies unsigned", "keeps no versions"],
)
async def test_nothing_starts_on_a_store_that_breaks_a_promise(
    behaviour: Behaviour, complaint: str
) -> None:
    with dishonest_store(behaviour) as settings:
        async with opened(settings) as store:
            with pytest.raises(ObjectStoreUnfit, match=complaint):
                await store.probe()
    assert behaviour.objects == {}, "the probe cleans up"


async def test_every_broken_promise_is_said_at_once() -> None:
    with dishonest_store(Behaviour(obeys_copies=True, keeps_versions=False)) as settings:
        async with opened(settings) as store:
            with pytest.raises(ObjectStoreUnfit) as caught:
                await store.probe()
    for said in ("if-none-match", "upload_access_key", "versioning"):
        assert said in str(caught.value)


@pytest.mark.parametrize("checks", [True, False])
async def test_the_probe_says_whether_checksums_are_checked(checks: bool) -> None:
    behaviour = Behaviour(obeys_if_none_match=True, checks_checksums=checks)
    with dishonest_store(behaviour) as settings:
        async with opened(settings) as store:
            assert (await store.probe()).checks_put_checksum is checks


async def test_a_store_that_checks_nothing_is_read_to_be_verified(unchecked: S3Settings) -> None:
    async with opened(unchecked) as store, httpx.AsyncClient(trust_env=False) as client:
        assert not (await store.probe()).checks_put_checksum
        upload = store.presign_put(PROJECT, sha256(BODY), size=len(BODY), expires=MINUTES_10)
        assert (await send(client, upload, BODY)).status_code == 200
        verified = await store.verify(PROJECT, sha256(BODY), size=len(BODY))
    assert verified.verified_by is VerifiedBy.STREAM


async def test_wrong_bytes_in_a_store_that_checks_nothing_are_noticed(
    unchecked: S3Settings,
) -> None:
    async with opened(unchecked) as store, httpx.AsyncClient(trust_env=False) as client:
        await store.probe()
        upload = store.presign_put(PROJECT, sha256(BODY), size=len(BODY), expires=MINUTES_10)
        assert (await send(client, upload, b"x" * len(BODY))).status_code == 200
        with pytest.raises(ObjectWrongDigest):
            await store.verify(PROJECT, sha256(BODY), size=len(BODY))


@pytest.mark.parametrize("status", [500, 503, 404, 418, 301])
async def test_a_store_that_fails_during_the_probe_proves_nothing(status: int) -> None:
    with dishonest_store(Behaviour(always=status)) as settings:
        async with opened(settings) as store:
            with pytest.raises((ObjectStoreUnavailable, ObjectStoreMisconfigured)):
                await store.probe()


@pytest.mark.parametrize(
    ("checksum", "kind", "expected"),
    [
        (b64encode(sha256(BODY)).decode(), "FULL_OBJECT", sha256(BODY)),
        (b64encode(sha256(BODY)).decode(), "COMPOSITE", None),
        (b64encode(sha256(BODY)).decode() + "-3", "FULL_OBJECT", None),
        (b64encode(b"short").decode(), "FULL_OBJECT", None),
        ("", "FULL_OBJECT", None),
        ("ünsinn", "FULL_OBJECT", None),
        (b64encode(sha256(BODY)).decode(), "", None),
    ],
)
async def test_only_a_digest_over_the_whole_object_is_one(
    checksum: str, kind: str, expected: bytes | None
) -> None:
    headers = {"x-amz-checksum-sha256": checksum, "x-amz-checksum-type": kind}
    with dishonest_store(Behaviour(always=200, headers=headers)) as settings:
        async with opened(settings) as store:
            found = await store.find_object(PROJECT, sha256(BODY))
    assert found is not None
    assert found.sha256 == expected


# --- trouble --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_a_store_that_cannot_serve_now_is_worth_another_try(status: int) -> None:
    with dishonest_store(Behaviour(always=status, body=b"<html>busy</html>")) as settings:
        async with opened(settings) as store:
            assert not await store.is_ready()
            with pytest.raises(ObjectStoreUnavailable, match="Try again") as caught:
                await store.find_object(PROJECT, sha256(BODY))
    assert caught.value.retryable
    assert str(status) in (caught.value.detail or "")


@pytest.mark.parametrize(
    ("status", "body", "advice"),
    [
        (403, b"<Error><Code>AccessDenied</Code></Error>", "the rights of these keys"),
        (403, b"<html>forbidden by the proxy</html>", "the rights of these keys"),
        (403, b"<Error><Code>RequestTimeTooSkewed</Code></Error>", r"\(NTP\)"),
        (400, b"<Error><Code>AuthorizationHeaderMalformed</Code></Error>", "Check the region"),
        (404, b"<html>nothing here</html>", "Check the endpoint"),
        (301, b"", "Check the endpoint"),
    ],
)
async def test_a_refusal_says_which_setting_to_check(status: int, body: bytes, advice: str) -> None:
    with dishonest_store(Behaviour(always=status, body=body)) as settings:
        async with opened(settings) as store:
            assert not await store.is_ready()
            with pytest.raises(ObjectStoreMisconfigured, match=advice):
                await store.find_object(PROJECT, sha256(BODY))


async def test_a_store_that_never_answers_is_not_ready() -> None:
    release = Event()
    with dishonest_store(Behaviour(silent_until=release)) as settings:
        async with opened(settings) as store:
            assert not await store.is_ready()
            release.set()
            assert await store.is_ready()


async def test_a_body_that_ends_too_early_is_no_content() -> None:
    with dishonest_store(Behaviour(cuts_bodies=True)) as settings:
        async with opened(settings) as store, httpx.AsyncClient(trust_env=False) as client:
            upload = store.presign_put(PROJECT, sha256(BODY), size=len(BODY), expires=MINUTES_10)
            await send(client, upload, BODY)
            with pytest.raises(ObjectStoreUnavailable):
                await store.stream_digest(PROJECT, sha256(BODY), version_id="v1")
            with pytest.raises(ObjectStoreUnavailable):
                await store.get_bytes(PROJECT, sha256(BODY), version_id="v1", limit=100)


@pytest.mark.stack
async def test_a_certificate_that_nobody_vouches_for_is_not_accepted(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    options = ("--cert", str(certificate), "--key", str(key))
    with running_gateway(tmp_path, options=options) as gateway:
        async with opened(gateway.settings(bucket_prefix="secured")) as store:
            with pytest.raises(ObjectStoreMisconfigured, match="trust store"):
                await store.prepare()


async def test_a_read_stops_when_nobody_waits_for_it(unchecked: S3Settings) -> None:
    stop = Event()
    stop.set()
    async with opened(unchecked) as store, httpx.AsyncClient(trust_env=False) as client:
        upload = store.presign_put(PROJECT, sha256(BODY), size=len(BODY), expires=MINUTES_10)
        await send(client, upload, BODY)
    location = Location(
        bucket=unchecked.artifacts, key=object_key(PROJECT, sha256(BODY)), sha256=sha256(BODY)
    )
    with transport_of(unchecked) as transport, pytest.raises(Stopped):
        await asyncio.to_thread(
            objects.digest_content, transport, location, version_id="v1", stop=stop
        )


async def test_an_error_shows_no_signature_and_no_key() -> None:
    with dishonest_store(Behaviour()) as settings:
        away = replace(
            settings,
            endpoint=f"http://127.0.0.1:{closed_port()}",
            secret_key="the-secret-key",
            upload_access_key="uploader",
            upload_secret_key="the-upload-secret",
        )
    store = S3ObjectStore(away)
    for attempt in (store.probe(), store.prepare(), store.find_object(PROJECT, sha256(BODY))):
        with pytest.raises(ObjectStoreUnavailable) as caught:
            await attempt
        assert caught.value.__cause__ is None
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.detail)
        for secret in ("Signature", "the-secret-key", "the-upload-secret", "Credential"):
            assert secret not in shown
    await store.close()


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "object store")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths
