"""The signer against what AWS publishes: the S3 documentation's examples and its test suite."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from animus.adapters.s3.signing import (
    EMPTY_PAYLOAD,
    UNSIGNED_PAYLOAD,
    Pairs,
    Request,
    SigningKey,
    authorization,
    canonical_request,
    presigned_query,
    signature,
    string_to_sign,
)

# "Examples: Signature Calculations" in the Amazon S3 API reference.
S3_KEY = SigningKey(
    access_key="AKIAIOSFODNN7EXAMPLE",
    secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    region="us-east-1",
)
S3_TIME = datetime(2013, 5, 24, tzinfo=UTC)
S3_HOST = "examplebucket.s3.amazonaws.com"

# The test suite signs for a service of its own.
SUITE_KEY = SigningKey(
    access_key="AKIDEXAMPLE",
    secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    region="us-east-1",
    service="service",
)
SUITE_TIME = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
SUITE_HOST = "example.amazonaws.com"
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def s3_request(
    method: str,
    path: str,
    *,
    query: Pairs = (),
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> Request:
    payload = hashlib.sha256(body).hexdigest()
    fixed = {"host": S3_HOST, "x-amz-content-sha256": payload, "x-amz-date": "20130524T000000Z"}
    return Request(
        method=method, path=path, query=query, headers=fixed | (headers or {}), payload=payload
    )


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(
            s3_request("GET", "/test.txt", headers={"Range": "bytes=0-9"}),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            id="get-object",
        ),
        pytest.param(
            s3_request(
                "PUT",
                "/test$file.text",
                headers={
                    "Date": "Fri, 24 May 2013 00:00:00 GMT",
                    "x-amz-storage-class": "REDUCED_REDUNDANCY",
                },
                body=b"Welcome to Amazon S3.",
            ),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            id="put-object",
        ),
        pytest.param(
            s3_request("GET", "/", query=(("lifecycle", ""),)),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            id="get-bucket-lifecycle",
        ),
        pytest.param(
            s3_request("GET", "/", query=(("prefix", "J"), ("max-keys", "2"))),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            id="list-objects",
        ),
    ],
)
def test_the_signature_is_the_one_in_the_s3_documentation(request_: Request, expected: str) -> None:
    assert signature(request_, S3_KEY, S3_TIME) == expected


def test_the_authorization_header_names_credential_headers_and_signature() -> None:
    request = s3_request("GET", "/test.txt", headers={"Range": "bytes=0-9"})
    assert authorization(request, S3_KEY, at=S3_TIME) == (
        "AWS4-HMAC-SHA256 "
        "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_the_presigned_url_is_the_one_in_the_s3_documentation() -> None:
    request = Request(method="GET", path="/test.txt", headers={"host": S3_HOST})
    query = presigned_query(request, S3_KEY, at=S3_TIME, expires=timedelta(days=1))
    assert query == (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


def suite_request(
    method: str, path: str, *, query: Pairs = (), headers: dict[str, str] | None = None
) -> Request:
    fixed = {"Host": SUITE_HOST, "X-Amz-Date": "20150830T123600Z"}
    return Request(
        method=method,
        path=path,
        query=query,
        headers=fixed | (headers or {}),
        payload=EMPTY_PAYLOAD,
    )


SUITE = [
    pytest.param(
        suite_request("GET", "/"),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        id="get-vanilla",
    ),
    pytest.param(
        suite_request("GET", "/", query=(("Param1", "value1"),)),
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        id="get-vanilla-empty-query-key",
    ),
    pytest.param(
        suite_request("GET", "/", query=(("Param1", "value2"), ("Param1", "Value1"))),
        "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1",
        id="get-vanilla-query-order-key",
    ),
    pytest.param(
        suite_request("GET", "/", query=(("Param2", "value2"), ("Param1", "value1"))),
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        id="get-vanilla-query-order-key-case",
    ),
    pytest.param(
        suite_request("GET", "/", query=(("Param1", "value2"), ("Param1", "value1"))),
        "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694",
        id="get-vanilla-query-order-value",
    ),
    pytest.param(
        suite_request(
            "GET", "/", query=(("Param-3", "Value3"), ("Param", "Value2"), ("ሴ", "Value1"))
        ),
        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
        id="get-vanilla-query-order-encoded",
    ),
    pytest.param(
        suite_request("GET", "/", query=((UNRESERVED, UNRESERVED),)),
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        id="get-vanilla-query-unreserved",
    ),
    pytest.param(
        suite_request("GET", "/", query=(("ሴ", "bar"),)),
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        id="get-vanilla-utf8-query",
    ),
    pytest.param(
        suite_request("GET", f"/{UNRESERVED}"),
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        id="get-unreserved",
    ),
    pytest.param(
        suite_request("GET", "/ሴ"),
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        id="get-utf8",
    ),
    pytest.param(
        suite_request("GET", "/example space/"),
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        id="get-space-unnormalized",
    ),
    pytest.param(
        suite_request("GET", "//example//"),
        "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5",
        id="get-slashes-unnormalized",
    ),
    pytest.param(
        suite_request("GET", "/", headers={"My-Header1": " value1", "My-Header2": ' "a   b   c"'}),
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        id="get-header-value-trim",
    ),
    pytest.param(
        suite_request("GET", "/", headers={"My-Header1": "value2,value2,value1"}),
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        id="get-header-key-duplicate",
    ),
    pytest.param(
        suite_request("POST", "/"),
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        id="post-vanilla",
    ),
    pytest.param(
        suite_request("POST", "/", headers={"My-Header1": "value1"}),
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        id="post-header-key-sort",
    ),
    pytest.param(
        suite_request("POST", "/", headers={"My-Header1": "VALUE1"}),
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        id="post-header-value-case",
    ),
    pytest.param(
        suite_request("POST", "/", query=(("Param1", "value1"),)),
        "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        id="post-vanilla-query",
    ),
]


@pytest.mark.parametrize(("request_", "expected"), SUITE)
def test_the_signature_is_the_one_of_the_signature_v4_test_suite(
    request_: Request, expected: str
) -> None:
    assert signature(request_, SUITE_KEY, SUITE_TIME) == expected


def test_the_steps_between_are_those_of_the_signature_v4_test_suite() -> None:
    request = suite_request(
        "GET", "/", query=(("Param-3", "Value3"), ("Param", "Value2"), ("ሴ", "Value1"))
    )
    assert canonical_request(request) == (
        "GET\n/\n%E1%88%B4=Value1&Param=Value2&Param-3=Value3\n"
        "host:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    assert string_to_sign(request, SUITE_KEY, SUITE_TIME) == (
        "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\n"
        "868294f5c38bd141c4972a373a76654f1418a8e4fc18b2e7903ae45e8ae0ec71"
    )


@pytest.mark.parametrize(
    ("path", "query", "headers", "expected"),
    [
        pytest.param(
            "/",
            (("Param-3", "Value3"), ("Param", "Value2"), ("ሴ", "Value1")),
            {},
            "c5f1848ceec943ac2ca68ee720460c23aaae30a2300586597ada94c4a65e4787",
            id="get-vanilla-query-order-encoded",
        ),
        pytest.param(
            "/",
            (),
            {"My-Header1": " value1", "My-Header2": ' "a   b   c"'},
            "e7bb0fd515e125e1aec2ecc4c0c17484fb06f6846b927c35e46005dd3df3acd4",
            id="get-header-value-trim",
        ),
        pytest.param(
            "/ሴ",
            (),
            {},
            "10eae3f14a260bd3911cc6d008d3c576d143b05b62f09782a7a4b37f52178e44",
            id="get-utf8",
        ),
        pytest.param(
            "/",
            ((UNRESERVED, UNRESERVED),),
            {},
            "8e76a88a7433637b12778d5592799b29ad21ecd6cf6325051c21d86f0acda2bf",
            id="get-vanilla-query-unreserved",
        ),
        pytest.param(
            "/./",
            (),
            {},
            "a9b13e8f3484d9505bf1a6f347219f8f35b0fe8f128ceea597efc146a3dfe90c",
            id="get-slash-dot-slash-unnormalized",
        ),
        pytest.param(
            "/",
            (("ሴ", "bar"),),
            {},
            "0bdd809b1519ac4f0c1dc3540e2cc46bd0c7f778eda408b2ebf3b913d21ff600",
            id="get-vanilla-utf8-query",
        ),
    ],
)
def test_the_presigned_query_is_the_one_of_the_signature_v4_test_suite(
    path: str, query: Pairs, headers: dict[str, str], expected: str
) -> None:
    request = Request(
        method="GET",
        path=path,
        query=query,
        headers={"Host": SUITE_HOST, **headers},
        payload=EMPTY_PAYLOAD,
    )
    signed = presigned_query(request, SUITE_KEY, at=SUITE_TIME, expires=timedelta(hours=1))
    assert signed.endswith(f"&X-Amz-Signature={expected}")


@pytest.mark.parametrize(
    "expires", [timedelta(), timedelta(seconds=-1), timedelta(days=7, seconds=1)]
)
def test_a_url_without_a_sensible_lifetime_is_not_signed(expires: timedelta) -> None:
    request = Request(method="GET", path="/x", headers={"host": S3_HOST}, payload=UNSIGNED_PAYLOAD)
    with pytest.raises(ValueError, match="lives from 1 second to 7 days"):
        presigned_query(request, S3_KEY, at=S3_TIME, expires=expires)


def test_the_secret_key_is_not_shown() -> None:
    assert S3_KEY.secret_key not in repr(S3_KEY)
