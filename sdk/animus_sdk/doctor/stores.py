"""The way to the object store, gone as uploads and downloads go it: through presigned URLs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial

import httpx

from animus_sdk.client import Client
from animus_sdk.doctor.clocks import compare_with_store
from animus_sdk.doctor.connections import FAILURES, explain_failure, proxy_hint
from animus_sdk.doctor.findings import Finding, fault, note, ok, skipped
from animus_sdk.errors import AnimusError, ApiError
from animus_sdk.wire.clocks import Reading, read_clock
from animus_sdk.wire.connections import store_client
from animus_sdk.wire.failures import origin_of
from animus_sdk.wire.views import Download, StoreCheck

CHECK = "store"
SECONDS = 15.0
THERE_ALREADY = 412
MAX_ANSWER = 64 * 1024
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,80})</Code>")
_OF_TIME = frozenset({"RequestTimeTooSkewed", "RequestExpired", "ExpiredToken"})
_OPERATORS = "Tell the operators: the object store's public_endpoint is what they set for clients."


@dataclass(slots=True)
class StoreExamination:
    client: Client
    gateway_clock: Reading | None

    def examine(self) -> Iterator[Finding]:
        try:
            asked = self.client.store_checks.ask()
        except AnimusError as error:
            yield _unasked(error)
            return
        with store_client(timeout=SECONDS) as http:
            put = self._try_put(http, asked)
            yield put.finding
            yield from compare_with_store(self.gateway_clock, put.clock)
            if put.is_reached:
                yield self._try_get(http, asked["content"].encode())

    def _try_put(self, http: httpx.Client, asked: StoreCheck) -> _Tried:
        upload = asked["upload"]
        build = partial(
            http.build_request,
            "PUT",
            upload["url"],
            headers=upload["headers"],
            content=asked["content"].encode(),
        )
        answer = _send(http, build, upload["url"], what="Uploads")
        if isinstance(answer, Finding):
            return _Tried(finding=answer)
        if answer.status < 300 or answer.status == THERE_ALREADY:
            said = f"Uploads reach the object store at {origin_of(upload['url'])}."
            return _Tried(finding=ok(CHECK, said), clock=answer.clock, is_reached=True)
        return _Tried(finding=_refused(answer, upload["url"], "an upload"), clock=answer.clock)

    def _try_get(self, http: httpx.Client, content: bytes) -> Finding:
        try:
            download = self.client.store_checks.ask()["download"]
        except AnimusError as error:
            return _unasked(error)
        if download is None:
            said = "The gateway does not see what was uploaded to the store a moment ago."
            return fault(CHECK, said, todo=f"They are two stores, then. {_OPERATORS}")
        return _compare(http, download, content)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    finding: Finding
    clock: Reading | None = None
    is_reached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    content: bytes
    clock: Reading | None

    @property
    def code(self) -> str:
        """The store's own, for why it refuses."""
        found = _CODE.search(self.content.decode("utf-8", "replace"))
        return found[1] if found else ""


def _compare(http: httpx.Client, download: Download, content: bytes) -> Finding:
    plain = {"Accept-Encoding": "identity"}
    build = partial(http.build_request, "GET", download["url"], headers=plain)
    answer = _send(http, build, download["url"], what="Downloads")
    if isinstance(answer, Finding):
        return answer
    if answer.status >= 300:
        return _refused(answer, download["url"], "a download")
    if answer.content != content:
        return fault(
            CHECK,
            "Other bytes come back from the store than were put there.",
            todo="Something on the way changes them: a proxy, or a gateway that scans content.",
        )
    return ok(CHECK, "Downloads come back with every byte.")


def _send(
    http: httpx.Client, build: Callable[[], httpx.Request], url: str, *, what: str
) -> _Answer | Finding:
    """`build` too raises where `url` can't be used."""
    sent = datetime.now(timezone.utc)
    try:
        response = http.send(build(), stream=True)
        received = datetime.now(timezone.utc)
        try:
            content = _read(response)
        finally:
            response.close()
    except FAILURES as error:
        return _unreached(error, url, what)
    clock = read_clock(response, sent=sent, received=received)
    return _Answer(status=response.status_code, content=content, clock=clock)


def _read(response: httpx.Response) -> bytes:
    content = b""
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > MAX_ANSWER:
            break
    return content


def _unreached(error: Exception, url: str, what: str) -> Finding:
    said, todo = explain_failure(error, url)
    hint = proxy_hint(url, os.environ)
    return fault(
        CHECK, f"{what} do not reach the object store. {said}{hint}", todo=f"{todo} {_OPERATORS}"
    )


def _refused(answer: _Answer, url: str, what: str) -> Finding:
    code = f" {answer.code}" if answer.code else ""
    said = f"{origin_of(url)} refuses {what}: {answer.status}{code}."
    if answer.code in _OF_TIME:
        todo = "The clocks of gateway and store differ. Tell the operators."
    elif answer.code == "SignatureDoesNotMatch":
        todo = f"Something on the way changes the name or a header that is signed. {_OPERATORS}"
    elif answer.code:
        todo = "Tell the operators, with the store's code."
    else:
        todo = f"It may be no object store at all. {_OPERATORS}"
    return fault(CHECK, said, todo=todo)


def _unasked(error: AnimusError) -> Finding:
    if isinstance(error, ApiError) and error.status == 503:
        return fault(
            CHECK,
            f"The gateway itself does not reach the object store: {error.message}",
            todo="Wait, and tell the operators.",
        )
    if isinstance(error, ApiError) and error.code == "route_not_found":
        return note(CHECK, "The gateway is too old to try the way to its object store.")
    return skipped(CHECK, f"The way to the object store was not tried: {error.message}")
