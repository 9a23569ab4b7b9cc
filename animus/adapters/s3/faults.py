"""What can go wrong on the way to the store and back, in words an operator can act on."""

from __future__ import annotations

import re

from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from animus.domain.errors import Unavailable
from animus.ports import ObjectStoreMisconfigured, ObjectStoreUnavailable

NO_LOCK = "ObjectLockConfigurationNotFoundError"
NOT_THERE = frozenset({"NoSuchKey", "NoSuchVersion"})
_TRY_AGAIN = frozenset({408, 429})
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>")

_KEYS = (
    "The object store does not accept our key. Check access_key, secret_key, upload_access_key "
    "and upload_secret_key of its settings."
)
_REGION = "The object store is in another region. Check the region of its settings."
_RIGHTS = (
    "The object store does not allow our key this on bucket {bucket!r}. Check access_key and "
    "upload_access_key of its settings and the rights of these keys."
)
_OTHER = (
    "What answers at the object store's endpoint does not answer as S3 does. Check the endpoint "
    "of its settings and any proxy before it."
)
_ADVICE = {
    "InvalidAccessKeyId": _KEYS,
    "SignatureDoesNotMatch": _KEYS,
    "XAdminUserNotFound": _KEYS,
    "AuthorizationHeaderMalformed": _REGION,
    "AuthorizationQueryParametersError": _REGION,
    "PermanentRedirect": _REGION,
    "RequestTimeTooSkewed": "The clocks of this machine and of the object store differ by more "
    "than 15 minutes. Set both right (NTP), then try again.",
    "NoSuchBucket": "The object store has no bucket {bucket!r}. Check bucket_prefix of its "
    "settings, and restart the api or a worker, which create what is missing.",
    "BucketAlreadyExists": "The bucket {bucket!r} belongs to another account. Choose another "
    "bucket_prefix.",
    NO_LOCK: "The bucket {bucket!r} exists without Object Lock, which a bucket gets when it is "
    "created. Choose another bucket_prefix, or remove that bucket if it is not needed.",
}


class Refusal(Exception):
    """The store answered with an error. Holds no header, URL or body: those can hold secrets."""

    def __init__(
        self, *, status: int, code: str | None, bucket: str, request_id: str | None = None
    ) -> None:
        super().__init__(f"{status} {code}, bucket {bucket}, request {request_id}")
        self.status = status
        self.code = code
        self.bucket = bucket


def error_code(body: bytes) -> str | None:
    """The code in an S3 error document. A pattern, because no more of the XML is wanted."""
    found = _CODE.search(body)
    return found[1].decode() if found else None


def explain(fault: Refusal | HTTPError) -> Unavailable:
    """The error for the caller. Chain it `from None`: urllib3's messages quote URLs."""
    if isinstance(fault, Refusal):
        return _explain_refusal(fault)
    if isinstance(fault, SSLError) or (
        isinstance(fault, MaxRetryError) and isinstance(fault.reason, SSLError)
    ):
        return ObjectStoreMisconfigured(
            "The object store's certificate is not trusted here. Add its CA to the system's trust "
            "store, and check that the endpoint names the host of the certificate."
        )
    return ObjectStoreUnavailable(
        "The object store can't be reached. Try again; if it stays so, the operator should check "
        "that it runs and that the endpoint setting is right.",
        detail=type(getattr(fault, "reason", None) or fault).__name__,
    )


def _explain_refusal(refusal: Refusal) -> Unavailable:
    if refusal.status >= 500 or refusal.status in _TRY_AGAIN:
        return ObjectStoreUnavailable(
            "The object store is there but can't serve now. Try again.", detail=str(refusal)
        )
    advice = _ADVICE.get(refusal.code or "") or (_RIGHTS if refusal.status == 403 else _OTHER)
    return ObjectStoreMisconfigured(advice.format(bucket=refusal.bucket), detail=str(refusal))
