"""What is put into an upload or download URL, and which settings of a store are accepted."""

from __future__ import annotations

import hashlib
import unicodedata
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animus.adapters.s3.presigning import Presigner, content_disposition
from animus.adapters.s3.settings import Endpoint, S3Settings
from animus.adapters.s3.signing import SigningKey
from animus.ports import ObjectStoreMisconfigured

KEY = SigningKey(access_key="reader", secret_key="s", region="eu-central-1")
UPLOAD_KEY = SigningKey(access_key="writer", secret_key="t", region="eu-central-1")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PRESIGNER = Presigner(
    endpoint=Endpoint.parse("public_endpoint", "https://store.example.org:443/"),
    download_key=KEY,
    upload_key=UPLOAD_KEY,
)
SETTINGS = S3Settings(
    endpoint="http://127.0.0.1:9000",
    public_endpoint="https://store.example.org",
    access_key="reader",
    secret_key="s",
    region="us-east-1",
)


def test_an_upload_url_signs_the_length_the_digest_and_that_nothing_is_overwritten() -> None:
    digest = hashlib.sha256(b"x").digest()
    upload = PRESIGNER.put("/b/k", digest, size=1, at=AT, expires=timedelta(minutes=10))
    query = parse_qs(urlsplit(upload.url).query)
    assert query["X-Amz-SignedHeaders"] == [
        "content-length;host;if-none-match;x-amz-checksum-sha256"
    ]
    assert query["X-Amz-Expires"] == ["600"]
    assert upload.headers["content-length"] == "1"
    assert upload.headers["if-none-match"] == "*"
    assert b64decode(upload.headers["x-amz-checksum-sha256"]) == digest
    assert upload.expires_at == AT + timedelta(minutes=10)
    assert upload.url.startswith("https://store.example.org/b/k?")


def test_uploads_and_downloads_are_signed_with_their_own_keys() -> None:
    digest = hashlib.sha256(b"x").digest()
    upload = PRESIGNER.put("/b/k", digest, size=1, at=AT, expires=timedelta(minutes=1))
    download = PRESIGNER.get("/b/k", version_id="v1", at=AT, expires=timedelta(minutes=1))
    scope = "20260102/eu-central-1/s3/aws4_request"
    assert parse_qs(urlsplit(upload.url).query)["X-Amz-Credential"] == [f"writer/{scope}"]
    assert parse_qs(urlsplit(download.url).query)["X-Amz-Credential"] == [f"reader/{scope}"]
    assert parse_qs(urlsplit(download.url).query)["versionId"] == ["v1"]


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        (None, "attachment"),
        ("", "attachment"),
        ("...", "attachment"),
        ("model.pkl", 'attachment; filename="model.pkl"'),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("C:\\temp\\a.txt", 'attachment; filename="a.txt"'),
        ("a b.csv", "attachment; filename=\"a_b.csv\"; filename*=UTF-8''a%20b.csv"),
        ("x\r\nSet-Cookie: a=b", "attachment; filename=\"xSet-Cookie__a_b\"; "
         "filename*=UTF-8''xSet-Cookie%3A%20a%3Db"),
        ("report\u202efdp.exe", 'attachment; filename="reportfdp.exe"'),
    ],
)  # fmt: skip
def test_a_filename_can_be_shown_and_nothing_else(filename: str | None, expected: str) -> None:
    assert content_disposition(filename) == expected


@given(st.text())
def test_no_filename_breaks_out_of_its_header(filename: str) -> None:
    header = content_disposition(filename)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') in (0, 2)
    name = unquote(header.partition("UTF-8''")[2])
    assert not any(c in "/\\" or unicodedata.category(c).startswith("C") for c in name)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("https://store.example.org:443", "https://store.example.org"),
        ("http://store.example.org:80/", "http://store.example.org"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("https://Store.Example.ORG", "https://store.example.org"),
    ],
)
def test_an_endpoint_is_written_as_clients_write_the_host(text: str, url: str) -> None:
    assert Endpoint.parse("endpoint", text).url == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:9000",
        "ftp://store",
        "http://",
        "http://store:port",
        "https://user:hunter2@store",
        "https://store/path",
        "https://store?query=hunter2",
    ],
)
def test_an_endpoint_that_cannot_be_signed_for_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ObjectStoreMisconfigured, match="public_endpoint is written") as caught:
        Endpoint.parse("public_endpoint", text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "a", "UPPER", "-x", "a_b", "x" * 52])
def test_a_prefix_that_makes_no_bucket_name_is_refused(prefix: str) -> None:
    with pytest.raises(ObjectStoreMisconfigured, match="bucket_prefix"):
        S3Settings(
            endpoint=SETTINGS.endpoint,
            public_endpoint=SETTINGS.public_endpoint,
            access_key="a",
            secret_key="s",
            region="us-east-1",
            bucket_prefix=prefix,
        )


def test_half_an_upload_key_is_refused() -> None:
    with pytest.raises(ObjectStoreMisconfigured, match="upload_access_key and upload_secret_key"):
        S3Settings(
            endpoint=SETTINGS.endpoint,
            public_endpoint=SETTINGS.public_endpoint,
            access_key="a",
            secret_key="s",
            region="us-east-1",
            upload_access_key="writer",
        )


def test_without_an_upload_key_the_stores_own_key_signs_uploads() -> None:
    assert SETTINGS.upload_key() == SETTINGS.signing_key()
