"""Tries what a store promises, with the kind of URL that uploaders get, and cleans up."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from urllib3.exceptions import HTTPError

from animus.adapters.s3.buckets import has_versioning
from animus.adapters.s3.faults import Refusal, error_code
from animus.adapters.s3.presigning import Presigner
from animus.adapters.s3.settings import S3Settings
from animus.adapters.s3.transport import Answer, Call, Transport
from animus.ports import ObjectStoreUnfit, StoreCapabilities

LIFETIME = timedelta(minutes=10)
"""Longer than the slowest probe takes: an expired URL would be refused for that."""
BODY = b"animus probe: the announced bytes"
OTHER = b"animus probe: some other bytes..."
_BAD_DIGEST = frozenset({400})
_BAD_SIGNATURE = frozenset({400, 403})
_TAKEN = frozenset({409, 412})
_REFUSES_COPY = frozenset({400, 403, 501})
_NOT_SUPPORTED = 501
_OVERWRITES = (
    "It lets an upload URL overwrite an object ('if-none-match: *' is not obeyed). Use a version "
    "of it that has conditional writes, or another store."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One series of tries under a prefix of its own in the staging bucket."""

    transport: Transport
    presigner: Presigner
    settings: S3Settings
    prefix: str
    at: datetime

    def put(
        self,
        name: str,
        *,
        body: bytes,
        announced: bytes = BODY,
        size: int = len(BODY),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Upload `body` where the URL was signed for `announced` and `size`."""
        upload = self.presigner.put(
            f"/{self.settings.staging}/{self.prefix}/{name}",
            hashlib.sha256(announced).digest(),
            size=size,
            at=self.at,
            expires=LIFETIME,
        )
        sent = {k: v for k, v in upload.headers.items() if k != "content-length"}
        return self.transport.send_presigned(
            upload.url, headers={**sent, **(headers or {})}, body=body
        )

    def is_refused(self, answer: Answer, statuses: frozenset[int]) -> bool:
        """Only an answer that means this no counts as one: a store that fails proves nothing."""
        if _is_success(answer):
            return False
        if answer.status in statuses:
            return True
        raise self.failure(answer)

    def failure(self, answer: Answer) -> Refusal:
        return Refusal(
            status=answer.status, code=error_code(answer.body), bucket=self.settings.staging
        )


def probe_store(
    transport: Transport, presigner: Presigner, *, settings: S3Settings, at: datetime
) -> StoreCapabilities:
    """What the store does. The presigner is for the endpoint of `transport`."""
    probe = Probe(
        transport=transport,
        presigner=presigner,
        settings=settings,
        prefix=f"probe/{uuid4().hex}",
        at=at,
    )
    with _cleaned_up(probe, ("right", "checksum", "length", "copy")):
        return StoreCapabilities(
            refuses_overwrite=_refuses_overwrite(probe),
            checks_put_checksum=_checks_put_checksum(probe),
            checks_length=_checks_length(probe),
            refuses_unsigned_copy=_refuses_unsigned_copy(probe),
            versioning=has_versioning(transport, settings.artifacts),
        )


def require_fit(capabilities: StoreCapabilities) -> None:
    """Raise `ObjectStoreUnfit` with everything that is missing and what to do about it."""
    faults = list(_faults(capabilities))
    if faults:
        raise _unfit(*faults)


def _faults(capabilities: StoreCapabilities) -> Iterator[str]:
    if not capabilities.refuses_overwrite:
        yield _OVERWRITES
    if not capabilities.refuses_unsigned_copy:
        yield (
            "It obeys headers that were not signed, so that an upload URL can copy what belongs to "
            "another project. Give it a second key that may only write (s3:PutObject) and set "
            "upload_access_key and upload_secret_key."
        )
    if not capabilities.versioning:
        yield "Its artifacts bucket keeps no versions. Switch versioning on."


def _unfit(*faults: str) -> ObjectStoreUnfit:
    return ObjectStoreUnfit(" ".join(("Animus must not run on this object store.", *faults)))


def _refuses_overwrite(probe: Probe) -> bool:
    """Also the proof that right uploads succeed, without which no refusal would mean anything."""
    first = probe.put("right", body=BODY)
    if first.status == _NOT_SUPPORTED:
        raise _unfit(_OVERWRITES)
    if not _is_success(first):
        raise probe.failure(first)
    return probe.is_refused(probe.put("right", body=BODY), _TAKEN)


def _checks_put_checksum(probe: Probe) -> bool:
    return probe.is_refused(probe.put("checksum", body=OTHER), _BAD_DIGEST)


def _checks_length(probe: Probe) -> bool:
    """The announced digest is that of the longer body, so that only its length is wrong."""
    longer = BODY + b"."
    return probe.is_refused(probe.put("length", body=longer, announced=longer), _BAD_SIGNATURE)


def _refuses_unsigned_copy(probe: Probe) -> bool:
    """Ask for a copy of something absent: a store that says so looked for it with our rights."""
    source = f"/{probe.settings.artifacts}/{probe.prefix}/absent"
    answer = probe.put(
        "copy", body=b"", announced=b"", size=0, headers={"x-amz-copy-source": source}
    )
    if answer.status == 404:
        return False
    return probe.is_refused(answer, _REFUSES_COPY) or not _is_copy(answer)


def _is_success(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def _is_copy(answer: Answer) -> bool:
    """S3 may announce success before it copies, and say in the body how that went."""
    return b"<CopyObjectResult" in answer.body or b"<Error" in answer.body


@contextmanager
def _cleaned_up(probe: Probe, names: tuple[str, ...]) -> Iterator[None]:
    try:
        yield
    finally:
        for name in names:
            # What stays is a few bytes that the sweeper of the staging bucket removes.
            with suppress(Refusal, HTTPError):
                probe.transport.send(
                    Call(
                        method="DELETE",
                        bucket=probe.settings.staging,
                        key=f"{probe.prefix}/{name}",
                    )
                )
