"""Events as the gateway sends them, resumed where they broke off; those of a run among them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import httpx

from animus_sdk.errors import AnswerUnfit, ApiError, Unreachable
from animus_sdk.wire.decoding import decode
from animus_sdk.wire.failures import explain
from animus_sdk.wire.gateway import Gateway
from animus_sdk.wire.operations import STREAM_RUN_EVENTS, Operation
from animus_sdk.wire.retries import RetryPolicy
from animus_sdk.wire.views import AuditEvent

BEFORE_THE_FIRST = -1
SILENCE_SECONDS = 45.0
"""The gateway says something every 15 seconds; what is silent for longer is broken."""
CONNECT_SECONDS = 10.0
PATIENCE = RetryPolicy(retries=20, total_seconds=120.0)


class StreamCut(Exception):
    """The stream stopped without its end; what was read so far stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    kind: str
    data: str
    id: int | None = None


def read_events(lines: Iterable[str]) -> Iterator[ServerEvent]:
    """The events of a stream (WHATWG HTML, section 9.2.6), as far as a gateway sends them."""
    kind, data, place = "message", list[str](), None
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "id":
            place = _id(value)
        elif name == "data":
            data.append(value)
        elif not line:
            if data:
                yield ServerEvent(kind=kind, data="\n".join(data), id=place)
            kind, data, place = "message", [], None


class EventStream:
    """Events of one address of the gateway, each once and in order: resumed by the last id."""

    def __init__(
        self,
        gateway: Gateway,
        operation: Operation,
        *,
        path: Mapping[str, object],
        position: int,
        patience: RetryPolicy = PATIENCE,
    ) -> None:
        self._gateway = gateway
        self._operation = operation
        self._path = path
        self.position = position
        """The last id that was read."""
        self._patience = patience
        self._interrupted = threading.Event()
        self._response: httpx.Response | None = None

    def interrupt(self) -> None:
        """End the reading from another thread, which gets `StreamCut` or a transport error."""
        self._interrupted.set()
        if self._response is not None:
            connection = self._response.extensions["network_stream"].get_extra_info("socket")
            with suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)

    def read(self, *, follow: bool) -> Iterator[ServerEvent]:
        """Those that are there; with `follow` also those to come. The last one is `end`.

        Resumes by itself. Raises `Unreachable` when the gateway stays away, `ApiError` when it
        refuses, also in the middle: rights are checked again while a stream lasts; and `StreamCut`
        when it was interrupted.
        """
        left = self._patience.begin()
        while True:
            before = self.position
            try:
                yield from self.read_once(follow=follow)
                return
            except (httpx.TransportError, StreamCut) as error:
                if self._interrupted.is_set():
                    raise StreamCut from None
                if self.position > before:
                    left = self._patience.begin()
                if not left.wait():
                    why = explain(error) if isinstance(error, httpx.TransportError) else "cut off"
                    raise Unreachable(
                        f"{self._gateway.url} stopped sending events ({why}). Try again."
                    ) from None

    def read_once(self, *, follow: bool) -> Iterator[ServerEvent]:
        """One connection; `httpx.TransportError` and `StreamCut` are left to the caller."""
        with self._gateway.stream(
            self._operation,
            path=self._path,
            query={"follow": str(follow).lower()},
            headers={"Last-Event-ID": str(self.position), "Accept": "text/event-stream"},
            timeout=httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
        ) as response:
            self._response = response
            if self._interrupted.is_set():
                raise StreamCut
            for event in read_events(response.iter_lines()):
                if event.kind == "error":
                    raise _refusal(event)
                if event.id is not None:
                    self.position = event.id
                yield event
                if event.kind == "end":
                    return
        raise StreamCut


class RunEvents:
    """The events of one run."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        project_id: str,
        run_id: str,
        after: int = BEFORE_THE_FIRST,
        patience: RetryPolicy = PATIENCE,
    ) -> None:
        path = {"project_id": project_id, "run_id": run_id}
        self._stream = EventStream(
            gateway, STREAM_RUN_EVENTS, path=path, position=after, patience=patience
        )

    def interrupt(self) -> None:
        """As `EventStream.interrupt`."""
        self._stream.interrupt()

    def read(self, *, follow: bool) -> Iterator[AuditEvent]:
        """As `EventStream.read`, until the run has ended."""
        return _audit_events(self._stream.read(follow=follow))

    def read_once(self, *, follow: bool) -> Iterator[AuditEvent]:
        """As `EventStream.read_once`."""
        return _audit_events(self._stream.read_once(follow=follow))


def _audit_events(events: Iterable[ServerEvent]) -> Iterator[AuditEvent]:
    for event in events:
        if event.kind != "end":
            yield decode(AuditEvent, _json(event.data))


def _id(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise AnswerUnfit("The gateway sent an event whose id is no number.")
    return int(text)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise AnswerUnfit("The gateway sent an event that is not JSON.") from None


def _refusal(event: ServerEvent) -> ApiError:
    said = _json(event.data)
    code = said.get("code") if isinstance(said, dict) else None
    return ApiError(
        "The gateway ended the stream. Check with 'animus whoami' that you are still signed in.",
        code=code if isinstance(code, str) else "stream_refused",
        status=403,
    )
