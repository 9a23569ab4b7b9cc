"""One signed S3 request over HTTP, blocking. Knows S3's addressing and errors, not our objects."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

import urllib3
from urllib3 import BaseHTTPResponse, Retry, Timeout

from animus.adapters.s3.faults import Refusal, error_code
from animus.adapters.s3.settings import Endpoint
from animus.adapters.s3.signing import (
    Pairs,
    Request,
    SigningKey,
    amz_date,
    authorization,
    canonical_query,
    encode_path,
)

CONNECT_SECONDS = 3.0
READ_SECONDS = 20.0
MAX_ANSWER = 64 * 1024
"""Of answers that are documents; objects are read through `open`."""

_RETRIES = Retry(total=2, connect=2, read=1, status=0, redirect=0, other=0, backoff_factor=0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to the store before it is signed."""

    method: str
    bucket: str
    key: str | None = None
    query: Pairs = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        return f"/{self.bucket}" if self.key is None else f"/{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Keeps connections; may be used by several threads at once."""

    def __init__(
        self,
        endpoint: Endpoint,
        key: SigningKey,
        *,
        now: Callable[[], datetime],
        connections: int,
    ) -> None:
        self._endpoint = endpoint
        self._key = key
        self._now = now
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            timeout=Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        )

    def close(self) -> None:
        self._pool.clear()

    def send(self, call: Call) -> Answer:
        """The answer, or `Refusal` if the store refuses."""
        with self.open(call) as response:
            body = response.read(MAX_ANSWER)
        return Answer(status=response.status, headers=response.headers, body=body)

    @contextmanager
    def open(self, call: Call) -> Iterator[BaseHTTPResponse]:
        """The answer with its body still unread, or `Refusal`. Bytes come as they are stored."""
        response = self._request(call)
        try:
            if response.status >= 300:
                raise self._refusal(call, response)
            yield response
        finally:
            _finish(response)

    def send_presigned(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """Use an upload URL as a client would, once. Whatever the answer is."""
        response = self._pool.request(
            "PUT",
            url,
            headers=headers,
            body=body,
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            answer = response.read(MAX_ANSWER)
        finally:
            _finish(response)
        return Answer(status=response.status, headers=response.headers, body=answer)

    def _request(self, call: Call) -> BaseHTTPResponse:
        query = canonical_query(call.query)
        return self._pool.request(
            call.method,
            self._endpoint.url + encode_path(call.path) + (f"?{query}" if query else ""),
            headers=self._signed(call),
            body=call.body or None,
            retries=_RETRIES,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )

    def _signed(self, call: Call) -> dict[str, str]:
        at = self._now()
        payload = hashlib.sha256(call.body).hexdigest()
        headers = {
            **call.headers,
            "host": self._endpoint.host,
            "x-amz-content-sha256": payload,
            "x-amz-date": amz_date(at),
        }
        request = Request(
            method=call.method, path=call.path, query=call.query, headers=headers, payload=payload
        )
        return {
            **headers,
            "authorization": authorization(request, self._key, at=at),
            "accept-encoding": "identity",
        }

    def _refusal(self, call: Call, response: BaseHTTPResponse) -> Refusal:
        if call.method == "HEAD":
            return self._reason(call, response)
        return Refusal(
            status=response.status,
            code=error_code(response.read(MAX_ANSWER)),
            bucket=call.bucket,
            request_id=response.headers.get("x-amz-request-id"),
        )

    def _reason(self, call: Call, response: BaseHTTPResponse) -> Refusal:
        """An answer to HEAD has no body and so no reason; a status is none: versitygw says 404
        to an unknown access key as to an absent object. So the question is asked again."""
        try:
            with self.open(replace(call, method="GET")):
                # The key is good, so the 404 was true; somebody has written it since.
                code = "NoSuchKey" if response.status == 404 else None
        except Refusal as refusal:
            return refusal
        return Refusal(status=response.status, code=code, bucket=call.bucket)


def _finish(response: BaseHTTPResponse) -> None:
    """Keep the connection if everything was read. HEAD too must be read, of nothing, to its end."""
    if response.length_remaining == 0:
        response.drain_conn()
    else:
        response.close()
