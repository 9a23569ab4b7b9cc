"""A webhook of a chat channel: one POST of a small JSON document, fenced before its body."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

import httpx

from animus.couriers import Courier, HandOver, NotTaken, Parcel, Superseded, Unanswered
from animus.domain.errors import Invalid
from animus.domain.patterns import NAME

CONNECT_SECONDS = 15.0
ANSWER_SECONDS = 60.0
WHOLE_SECONDS = 180.0
"""Of one message, however slowly its answer drips."""
_BODY_STARTS = ("http11.send_request_body.started", "http2.send_request_body.started")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    folder: Path
    """A file for each project, of its name, that holds the address: a secret. Read each time."""
    body: str = '{"text": $text}'
    """JSON in which `$text` stands for the message as a JSON string; `$title` for its subject."""
    ca_file: Path | None = None
    seconds: float = WHOLE_SECONDS


class WebhookCourier(Courier):
    def __init__(self, webhooks: Webhooks) -> None:
        check_body(webhooks.body)
        self._webhooks = webhooks
        ca = str(webhooks.ca_file) if webhooks.ca_file else None
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(cafile=ca),
        )

    async def deliver(self, parcel: Parcel, hand_over: HandOver, /) -> None:
        address = self.address_of(parcel.place)
        body = fill_body(self._webhooks.body, parcel)
        fence = _Fence(hand_over)
        try:
            async with asyncio.timeout(self._webhooks.seconds):
                status = await self._post(address, body, parcel, fence)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            if fence.is_passed:
                raise Unanswered from error
            raise NotTaken("chat_unreachable") from error
        if httpx.codes.is_success(status):
            return
        if fence.is_passed and _may_be_taken(status):
            raise Unanswered
        raise NotTaken(f"chat_refused_{status}")

    async def _post(self, address: str, body: bytes, parcel: Parcel, fence: _Fence) -> int:
        """The status of the answer. Its body is not read: it may be without end."""
        async with self._client.stream(
            "POST", address, content=body,
            headers={"Content-Type": "application/json", "Idempotency-Key": str(parcel.id)},
            extensions={"trace": fence},
        ) as answer:  # fmt: skip
            return answer.status_code

    def address_of(self, project: str) -> str:
        """Raises `NotTaken` where there is none, or none that may be used."""
        try:
            address = self._webhooks.folder.joinpath(project).read_text().strip()
        except (OSError, ValueError) as error:
            raise NotTaken("chat_address_unreadable") from error
        if not is_fit(address):
            raise NotTaken("chat_address_unfit")
        return address

    async def close(self) -> None:
        await self._client.aclose()


def projects_in(folder: Path) -> tuple[str, ...]:
    """Names of the projects that have a channel; a mounted secret's own dot files are none."""
    try:
        names = [one.name for one in folder.iterdir() if one.is_file()]
    except OSError:
        return ()
    return tuple(sorted(name for name in names if re.fullmatch(NAME, name)))


class _Fence:
    """Waits in the client, right before the body goes out: a server acts on no half request."""

    def __init__(self, hand_over: HandOver) -> None:
        self._hand_over = hand_over
        self.is_passed = False

    async def __call__(self, event: str, _: Any) -> None:
        if event in _BODY_STARTS and not self.is_passed:
            if not await self._hand_over():
                raise Superseded
            self.is_passed = True


def _may_be_taken(status: int) -> bool:
    """Whether a proxy may say so while the server behind it has taken the message."""
    return status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT


def is_fit(address: str) -> bool:
    """One line of ASCII; HTTPS, or this machine itself; with a host, no name or password in it."""
    if not (address.isascii() and address.isprintable()):
        return False  # parts of it would be passed over below, and refused by the client
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
        httpx.URL(address)
    except (ValueError, httpx.InvalidURL):
        return False
    if not host or parts.username is not None or parts.password is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def check_body(body: str) -> None:
    """Raises `Invalid` for what is no JSON once it is filled."""
    template = Template(body)
    if not template.is_valid() or set(template.get_identifiers()) - {"text", "title"}:
        raise Invalid("The body of chat messages may name $text and $title, and nothing else.")
    try:
        json.loads(template.substitute(text='"x"', title='"x"'))
    except ValueError:
        raise Invalid(
            'The body of chat messages is JSON, and has no quotes around $text: {"text": $text}'
        ) from None


def fill_body(body: str, parcel: Parcel) -> bytes:
    said = {"text": parcel.letter.text.strip(), "title": parcel.letter.subject}
    return (
        Template(body).substitute({name: json.dumps(text) for name, text in said.items()}).encode()
    )
