"""Couriers against real servers: what goes over the wire, when, and what a refusal is taken for."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from structlog.testing import capture_logs

from animus.adapters.couriers.smtp import SmtpCourier, SmtpServer
from animus.adapters.couriers.webhooks import WebhookCourier, Webhooks, is_fit, projects_in
from animus.couriers import NotTaken, Parcel, Superseded, Unanswered
from animus.domain.errors import Invalid
from animus.domain.notification_templates import Letter
from tests.sdk.odd_servers import make_certificate
from tests.support.ports import closed_port
from tests.support.waiting import eventually

TO = "maria@people.test"
HOSTILE = "a\r\nBcc: x@y\u202e \x1b[31m"
TEXT = "first\n.\n..two\n.QUIT\nends without a line's end \u2713 " + "x" * 2_000


def parcel(*, subject: str = "hello", text: str = TEXT, place: str = TO) -> Parcel:
    letter = Letter(subject=subject, text=text)
    return Parcel(id=UUID(int=7), place=place, letter=letter)


async def go_on() -> bool:
    return True


async def stop() -> bool:
    return False


class Kept:
    """An SMTP handler that keeps what it takes, or refuses as it is told."""

    def __init__(self, **replies: str) -> None:
        self.replies = replies
        self.mails: list[bytes] = []

    async def handle_MAIL(  # aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.replies.get("mail", "250 OK")

    async def handle_RCPT(  # aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.replies.get("rcpt", "250 OK")

    async def handle_DATA(  # aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if "end" not in self.replies:
            self.mails.append(envelope.original_content or b"")
        return self.replies.get("end", "250 OK")


@asynccontextmanager
async def mail_server(handler: Kept, **options: Any) -> AsyncIterator[int]:
    loop, opened = asyncio.get_running_loop(), list[Any]()

    class Talk(SMTP):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            if transport.get_extra_info("sslcontext") is None:
                opened.append(transport)  # what carries it, also after a handshake broke off
            super().connection_made(transport)

    server = await loop.create_server(
        lambda: Talk(handler, hostname="mail.test", loop=loop, **options), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for transport in opened:
            transport.abort()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)  # transports close in the loop's next turn


def courier(port: int, **said: object) -> SmtpCourier:
    known = {"host": "localhost", "port": port, "sender": "animus@mail.test", "tls": "none"}
    return SmtpCourier(SmtpServer(**(known | said)))  # type: ignore[arg-type]  # by name


async def test_a_mail_arrives_as_it_was_written_and_no_header_is_smuggled_in() -> None:
    handler = Kept()
    async with mail_server(handler) as port:
        await courier(port).deliver(parcel(subject=HOSTILE), go_on)
    mail = message_from_bytes(handler.mails[0], policy=default)
    assert mail["Bcc"] is None
    assert "Bcc: x@y" in mail["Subject"]
    assert mail["Message-ID"] == f"<{UUID(int=7)}@mail.test>"
    assert mail.get_content().replace("\r\n", "\n").rstrip("\n") == TEXT
    assert max(map(len, handler.mails[0].split(b"\r\n"))) < 1_000


async def test_without_the_fence_nothing_arrives() -> None:
    handler = Kept()
    async with mail_server(handler) as port:
        with pytest.raises(Superseded):
            await courier(port).deliver(parcel(), stop)
        with pytest.raises(ZeroDivisionError):
            await courier(port).deliver(parcel(), _broken)
    assert handler.mails == []


async def _broken() -> bool:
    return bool(1 / 0)


@pytest.mark.parametrize(
    ("stage", "reply", "code", "for_good"),
    [
        ("mail", "550 5.7.1 Not you", "smtp_sender_refused_550_5.7.1", False),
        ("rcpt", "550 5.1.1 Nobody", "smtp_recipient_refused_550_5.1.1", True),
        ("rcpt", "550 Nobody", "smtp_recipient_refused_550", True),
        ("rcpt", "553 5.1.3 Bad", "smtp_recipient_refused_553_5.1.3", True),
        ("rcpt", "550 5.2.1 Disabled", "smtp_recipient_refused_550_5.2.1", True),
        ("rcpt", "550 5.7.1 Relaying denied", "smtp_recipient_refused_550_5.7.1", False),
        ("rcpt", "550 Relay access denied", "smtp_recipient_refused_550", False),
        ("rcpt", "552 5.2.2 Full", "smtp_recipient_refused_552_5.2.2", False),
        ("rcpt", "452 4.2.2 Full", "smtp_recipient_refused_452_4.2.2", False),
        ("rcpt", "451 4.7.1 Greylisted", "smtp_recipient_refused_451_4.7.1", False),
        ("end", "451 4.3.0 Later", "smtp_message_refused_451_4.3.0", False),
        ("end", "554 5.7.1 Spam", "smtp_message_refused_554_5.7.1", False),
        ("end", "550 5.1.1 Nobody", "smtp_message_refused_550_5.1.1", True),
    ],
)
async def test_a_refusal_is_for_good_only_where_it_is_about_the_mailbox(
    stage: str, reply: str, code: str, for_good: bool
) -> None:
    handler = Kept(**{stage: reply})
    async with mail_server(handler) as port:
        with pytest.raises(NotTaken) as caught:
            await courier(port).deliver(parcel(), go_on)
    assert (caught.value.code, caught.value.for_good) == (code, for_good)


async def test_the_address_that_was_refused_stays_out_of_the_log() -> None:
    handler = Kept(rcpt="550 5.1.1 <maria@people.test>: MARIA@PEOPLE.TEST is nobody")
    async with mail_server(handler) as port:
        with capture_logs() as logged, pytest.raises(NotTaken):
            await courier(port).deliver(parcel(place="Maria@People.test"), go_on)
    (said,) = [one["detail"] for one in logged if one["event"] == "mail_refused"]
    assert said == "5.1.1 <the recipient>: the recipient is nobody"


async def test_a_server_that_is_not_there_takes_nothing() -> None:
    with pytest.raises(NotTaken, match="smtp_unreachable"):
        await courier(closed_port()).deliver(parcel(), go_on)


async def test_tls_is_verified_and_the_password_is_read_at_each_login(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    password = tmp_path / "password"
    password.write_text("wrong")

    def check(server: SMTP, session: Session, *rest: object) -> AuthResult:
        said = rest[-1]
        assert isinstance(said, LoginPassword)
        return AuthResult(success=said.password == b"right", handled=False)

    handler = Kept()
    options = {
        "tls_context": context, "require_starttls": True, "auth_required": True,
        "authenticator": check,
    }  # fmt: skip
    async with mail_server(handler, **options) as port:
        stranger = courier(port, tls="starttls", user="animus", password_file=password)
        with pytest.raises(NotTaken, match="smtp_tls_refused"):
            await stranger.deliver(parcel(), go_on)
        known = courier(
            port, tls="starttls", ca_file=certificate, user="animus", password_file=password
        )
        with pytest.raises(NotTaken, match="smtp_login_refused_535"):
            await known.deliver(parcel(), go_on)
        password.write_text("right\n")
        await known.examine()
        await known.deliver(parcel(), go_on)
    assert len(handler.mails) == 1


@pytest.mark.parametrize(
    "held", ["gr\u00fcn".encode(), "gr\u00fcn".encode("latin-1"), b"two\nlines"]
)
async def test_a_password_that_smtp_cannot_say_is_named_and_nothing_is_sent(
    tmp_path: Path, held: bytes
) -> None:
    password = tmp_path / "password"
    password.write_bytes(held)
    handler = Kept()
    async with mail_server(handler) as port:
        told = courier(port, user="animus", password_file=password)
        for work in (told.examine(), told.deliver(parcel(), go_on)):
            with pytest.raises(NotTaken, match="smtp_password_unfit"):
                await work
    assert handler.mails == []


async def test_a_file_of_certificates_that_went_away_is_not_told_as_the_password(
    tmp_path: Path,
) -> None:
    told = courier(closed_port(), tls="starttls", ca_file=tmp_path / "none")
    with pytest.raises(NotTaken, match="smtp_ca_unreadable"):
        await told.examine()


async def test_what_was_broken_off_before_the_fence_hands_nothing_over() -> None:
    """A worker that stops, while the server thinks about the recipient."""
    told, go = asyncio.Event(), asyncio.Event()
    asked = list[bool]()

    class Slow(Kept):
        async def handle_RCPT(  # aiosmtpd's
            self, server: SMTP, session: Session, envelope: Envelope, address: str, *rest: Any
        ) -> str:
            told.set()
            await go.wait()
            return await super().handle_RCPT(server, session, envelope, address, *rest)

    async def hand_over() -> bool:
        asked.append(True)
        return True

    handler = Slow()
    async with mail_server(handler) as port:
        sending = asyncio.create_task(courier(port).deliver(parcel(), hand_over))
        await told.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        go.set()
        await eventually(_no_mail_is_under_way, "the session has ended")
    assert asked == []
    assert handler.mails == []


async def _no_mail_is_under_way() -> bool:
    return all(one.name != "animus-smtp" for one in threading.enumerate())


def test_a_mail_that_waits_for_its_answer_keeps_no_process_from_ending() -> None:
    """The server says nothing at all: its greeting may take half a minute."""
    program = """
import asyncio, socket
from tests.unit.adapters.test_couriers import courier

silent = socket.create_server(("127.0.0.1", 0))

async def main() -> None:
    asked = asyncio.create_task(courier(silent.getsockname()[1], host="127.0.0.1").examine())
    await asyncio.sleep(0.2)
    asked.cancel()

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)


@asynccontextmanager
async def talking(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A server on a port, until all who came have been talked to; some leave before their end."""
    talks: list[asyncio.Task[None]] = []

    async def to_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.ensure_future(to_the_end(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*talks)
    await asyncio.sleep(0)  # connections close in the loop's next turn


@asynccontextmanager
async def half_a_server(*, hear: bytes) -> AsyncIterator[int]:
    """Says what SMTP asks for, and hangs up when it has heard something."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 half\r\n")
        heard = b""
        while line := await reader.readline():
            heard += line.upper()
            if hear in heard:
                break
            if line.upper().startswith((b"EHLO", b"MAIL", b"RCPT")):
                writer.write(b"250 OK\r\n")
            elif line.upper().startswith(b"DATA"):
                writer.write(b"354 go on\r\n")

    async with talking(talk) as port:
        yield port


@pytest.mark.parametrize(
    ("hear", "raised"),
    [(b"RCPT", NotTaken), (b"DATA", NotTaken), (b"\r\n.\r\n", Unanswered)],
)
async def test_a_connection_that_is_lost_is_unanswered_only_after_the_last_dot(
    hear: bytes, raised: type[Exception]
) -> None:
    handed = 0

    async def hand_over() -> bool:
        nonlocal handed
        handed += 1
        return True

    async with half_a_server(hear=hear) as port:
        with pytest.raises(raised):
            await courier(port, host="127.0.0.1").deliver(parcel(), hand_over)
    assert handed == (raised is Unanswered)


@asynccontextmanager
async def chat_server(status: str, *, bodies: list[bytes]) -> AsyncIterator[int]:
    """One answer for each request; without a status it hangs up after the whole request."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        bodies.append(await reader.readexactly(length))
        if status:
            writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()

    async with talking(talk) as port:
        yield port


@asynccontextmanager
async def channel(
    folder: Path, port: int, *, body: str = '{"text": $text}'
) -> AsyncIterator[WebhookCourier]:
    (folder / "credit").write_text(f"http://127.0.0.1:{port}/hook\n")
    made = WebhookCourier(Webhooks(folder=folder, body=body))
    try:
        yield made
    finally:
        await made.close()


async def test_a_message_is_json_whatever_is_in_it(tmp_path: Path) -> None:
    bodies: list[bytes] = []
    body = '{"title": $title, "blocks": [$text]}'
    async with (
        chat_server("200 OK", bodies=bodies) as port,
        channel(tmp_path, port, body=body) as chat,
    ):
        await chat.deliver(parcel(place="credit", text='"}\n$text \\'), go_on)
    assert json.loads(bodies[0]) == {"title": "hello", "blocks": ['"}\n$text \\']}


@pytest.mark.parametrize(
    ("status", "raised", "code"),
    [
        ("204 No Content", None, ""),
        ("302 Found", NotTaken, "chat_refused_302"),
        ("404 Not Found", NotTaken, "chat_refused_404"),
        ("429 Slow down", NotTaken, "chat_refused_429"),
        ("408 Timeout", Unanswered, ""),
        ("502 Bad gateway", Unanswered, ""),
        ("504 Timeout behind", Unanswered, ""),
        ("", Unanswered, ""),
    ],
)
async def test_what_a_channel_answers(
    tmp_path: Path, status: str, raised: type[Exception] | None, code: str
) -> None:
    async with chat_server(status, bodies=[]) as port, channel(tmp_path, port) as chat:
        if raised is None:
            await chat.deliver(parcel(place="credit"), go_on)
            return
        with pytest.raises(raised) as caught:
            await chat.deliver(parcel(place="credit"), go_on)
        assert str(caught.value) == code


async def test_an_answer_without_end_is_not_read(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
        while True:  # until nobody takes it any more
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with talking(talk) as port, channel(tmp_path, port) as chat:
        async with asyncio.timeout(20):
            await chat.deliver(parcel(place="credit"), go_on)


@pytest.mark.parametrize(("hears", "raised"), [(True, Unanswered), (False, NotTaken)])
async def test_a_channel_that_drips_is_waited_for_no_longer_than_any_other(
    tmp_path: Path, hears: bool, raised: type[Exception]
) -> None:
    """Its answer comes byte by byte, so that no single wait is long; or the fence never opens."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def stuck() -> bool:
        await asyncio.Event().wait()
        return True

    async with talking(talk) as port:
        (tmp_path / "credit").write_text(f"http://127.0.0.1:{port}/hook\n")
        chat = WebhookCourier(Webhooks(folder=tmp_path, seconds=4.0 if hears else 1.0))
        try:
            with pytest.raises(raised):
                await chat.deliver(parcel(place="credit"), go_on if hears else stuck)
        finally:
            await chat.close()


async def test_a_channel_that_is_away_or_fenced_off_hears_nothing(tmp_path: Path) -> None:
    bodies: list[bytes] = []
    async with channel(tmp_path, closed_port()) as chat:
        with pytest.raises(NotTaken, match="chat_unreachable"):
            await chat.deliver(parcel(place="credit"), go_on)
        with pytest.raises(NotTaken, match="chat_address_unreadable"):
            await chat.deliver(parcel(place="other"), go_on)
    async with chat_server("200 OK", bodies=bodies) as port, channel(tmp_path, port) as chat:
        with pytest.raises(Superseded):
            await chat.deliver(parcel(place="credit"), stop)
    assert bodies == []


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("https://chat.example/hook", True), ("http://127.0.0.1:9/x", True),
        ("http://chat.example/hook", False), ("https://user:word@chat.example", False),
        ("ftp://chat.example", False), ("https://", False), ("", False), ("https://[x", False),
        ("https://chat.example/a\nhttps://chat.example/b", False),
        ("https://chat.example/\t", False), ("https://chat.ex\u00e4mple/a", False),
        ("https://chat.example:99999/a", False),
    ],
)  # fmt: skip
def test_only_addresses_with_tls_are_fit(address: str, fits: bool) -> None:
    assert is_fit(address) is fits


@pytest.mark.parametrize("body", ["", "{", '{"text": "$text"}', '{"text": $link}', '{"a": $}'])
def test_a_body_that_would_be_no_json_is_refused(tmp_path: Path, body: str) -> None:
    with pytest.raises(Invalid):
        WebhookCourier(Webhooks(folder=tmp_path, body=body))


def test_projects_with_a_channel_are_files_of_their_name(tmp_path: Path) -> None:
    for name in ("credit", "fraud.eu", ".hidden", "..data", "two words"):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder").mkdir()
    assert projects_in(tmp_path) == ("credit", "fraud.eu")
    assert projects_in(tmp_path / "none") == ()
