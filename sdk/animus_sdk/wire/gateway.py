"""Calls to a gateway: signed in, repeated where that is right, refusals as errors."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from animus_sdk.errors import ApiError, NotSignedIn, OutcomeUnknown, Unreachable
from animus_sdk.wire.clocks import TOLERANCE, OtherClock, distance_words, own_time
from animus_sdk.wire.connections import SOCKET_SCHEME, gateway_client
from animus_sdk.wire.decoding import decode
from animus_sdk.wire.failures import explain, find_mistrust
from animus_sdk.wire.operations import Operation, Repeat
from animus_sdk.wire.problems import body_of, error_of
from animus_sdk.wire.retries import RetryPolicy, retry_after

V = TypeVar("V")
Query = Mapping[str, Any]
TokenSource = Callable[[], "str | None"]

_TRY_AGAIN = frozenset({429, 502, 503, 504})
_NOTHING_DONE = frozenset({429})
"""Statuses that are answered before anything is carried out."""
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Gateway:
    """One gateway, as one caller. Safe to use from several threads."""

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource,
        timeout: float = 30.0,
        retries: RetryPolicy | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        """`token` is asked before each request, so that it may come from a file that changes."""
        self.url = url
        self.clock = OtherClock()
        """The gateway's, as its answers tell it."""
        self._token = token
        self._retries = retries or RetryPolicy()
        self._http = http or gateway_client(url, timeout=timeout)

    def __repr__(self) -> str:
        return f"Gateway({self.url!r})"

    def close(self) -> None:
        self._http.close()

    def call(
        self,
        operation: Operation,
        view: type[V],
        *,
        path: Mapping[str, object] | None = None,
        query: Query | None = None,
        body: object = None,
        token: str | None = None,
    ) -> V:
        """The answer of one operation. Raises `ApiError`, `Unreachable`, `AnswerUnfit`."""
        request = self._request(operation, path=path, query=query, body=body, token=token)
        response = self._send(request, operation.repeat)
        if response.status_code >= 400:
            raise self._refusal(response)
        return decode(view, body_of(response))

    def text(self, operation: Operation, *, path: Mapping[str, object], accept: str) -> str:
        """The answer of an operation that is asked for in a form that is no JSON."""
        request = self._request(operation, path=path)
        request.headers["Accept"] = accept
        response = self._send(request, operation.repeat)
        if response.status_code >= 400:
            raise self._refusal(response)
        return response.text

    @contextmanager
    def stream(
        self,
        operation: Operation,
        *,
        path: Mapping[str, object],
        query: Query,
        headers: Mapping[str, str],
        timeout: httpx.Timeout,
    ) -> Iterator[httpx.Response]:
        """An answer that goes on; not repeated here, and transport errors pass through."""
        request = self._request(operation, path=path, query=query)
        request.headers.update(headers)
        request.extensions["timeout"] = timeout.as_dict()
        response = self._http.send(request, stream=True)
        try:
            if response.status_code >= 400:
                response.read()
                raise error_of(response)
            yield response
        finally:
            response.close()

    def _request(
        self,
        operation: Operation,
        *,
        path: Mapping[str, object] | None = None,
        query: Query | None = None,
        body: object = None,
        token: str | None = None,
    ) -> httpx.Request:
        headers = {"X-Request-Id": uuid.uuid4().hex}
        token = token or self._token()
        if token is None:
            raise NotSignedIn(f"You are not signed in to {self.url}. Run: animus login")
        headers["Authorization"] = f"Bearer {token}"
        if operation.repeat is Repeat.WITH_KEY:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        quoted = {name: quote(str(value), safe="") for name, value in (path or {}).items()}
        said = {key: value for key, value in (query or {}).items() if value is not None}
        return self._http.build_request(
            operation.method,
            operation.path.format_map(quoted),
            params=said or None,
            json=body,
            headers=headers,
        )

    def _send(self, request: httpx.Request, repeat: Repeat) -> httpx.Response:
        patience = self._retries.begin()
        while True:
            sent = own_time()
            try:
                response = self._http.send(request)
            except httpx.RequestError as error:
                mistrust = find_mistrust(error, self.url)
                if mistrust is not None:
                    raise mistrust from None
                repeatable = repeat is not Repeat.UNSENT or isinstance(error, _NOT_SENT)
                if repeatable and patience.wait():
                    continue
                raise self._unreachable(error, repeat) from None
            self.clock.hear(response, sent=sent)
            statuses = _NOTHING_DONE if repeat is Repeat.UNSENT else _TRY_AGAIN
            if response.status_code not in statuses:
                return response
            if not patience.wait(at_least=retry_after(response.headers.get("retry-after"))):
                return response

    def _refusal(self, response: httpx.Response) -> ApiError:
        """Tokens end by the gateway's clock, so where one is refused a wrong clock is told."""
        clock = self.clock.reading
        if response.status_code != 401 or clock is None or clock.beyond_doubt <= TOLERANCE:
            return error_of(response)
        return error_of(
            response,
            hint=f"This machine's clock is {distance_words(-clock.ahead)} the gateway's, and"
            " tokens end by the gateway's. If it is this one that is wrong, set it: timedatectl"
            " set-ntp true; if not, tell the operators.",
        )

    def _unreachable(self, error: httpx.RequestError, repeat: Repeat) -> Unreachable:
        why = explain(error)
        if repeat is Repeat.UNSENT and not isinstance(error, _NOT_SENT):
            return OutcomeUnknown(
                f"The connection to {self.url} broke ({why}), and it is not known whether this"
                " was done. Look before you try again."
            )
        started = " Is it running, and is its socket there?" if _is_socket(self.url) else ""
        return Unreachable(
            f"{self.url} does not answer ({why}).{started or ' Check the URL and the network.'}"
        )


def _is_socket(url: str) -> bool:
    return url.startswith(SOCKET_SCHEME)
