"""Mail over SMTP: one message to one person in one session, and the fence before its last dot.

Refusals about us (sender, login, TLS, relay, every 4xx) are tried again: an operator mends them.
Refusals about the mailbox are for good. See RFC 5321 section 4.2 and RFC 3463 for the codes.
"""

from __future__ import annotations

import asyncio
import re
import smtplib
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formataddr, formatdate
from pathlib import Path
from typing import Literal

import structlog

from animus.couriers import Courier, HandOver, NotTaken, Parcel, Superseded, Unanswered
from animus.domain.visible_texts import visible

CONNECT_SECONDS = 30.0
COMMAND_SECONDS = 120.0
LEAVE_SECONDS = 5.0
ANSWER_SECONDS = 600.0
"""After the last dot a server may take ten minutes (RFC 5321 section 4.5.3.2.6)."""
_READY, _GO_ON = 250, 354
_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")
_NO_SUCH_MAILBOX = re.compile(r"^5\.(1\.(1|2|3|6|10)|2\.1)$")
_MAILBOX_REPLIES = frozenset({550, 551, 553})
"""Where a server gives no enhanced code: about the mailbox, by RFC 5321."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    host: str
    port: int
    sender: str
    """An address."""
    sender_name: str = "Animus"
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca_file: Path | None = None
    """Whose certificates count, instead of the system's."""
    user: str | None = None
    password_file: Path | None = field(default=None, repr=False)
    """Read at each login: it may be replaced."""
    answer_seconds: float = ANSWER_SECONDS

    @property
    def domain(self) -> str:
        return self.sender.rpartition("@")[2]


class SmtpCourier(Courier):
    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def deliver(self, parcel: Parcel, hand_over: HandOver, /) -> None:
        loop = asyncio.get_running_loop()
        is_awaited = True

        async def asked() -> bool:
            """Nobody writes down the answer to what was broken off: another attempt hands over."""
            return is_awaited and await hand_over()

        def ask() -> bool:
            return asyncio.run_coroutine_threadsafe(asked(), loop).result()

        try:
            await _aside(lambda: self._deliver(parcel, ask))
        finally:
            is_awaited = False

    async def examine(self) -> None:
        """Connect, encrypt and log in, and send nothing. Raises `NotTaken`."""
        await _aside(self._examine)

    def _examine(self) -> None:
        client = _connected(self._server)
        _leave(client)

    def _deliver(self, parcel: Parcel, ask: Callable[[], bool]) -> None:
        client = _connected(self._server)
        try:
            _announce(client, self._server, parcel)
            _send_all_but_the_end(client, parcel, self._server)
            if not ask():
                raise Superseded
            _end_and_hear(client, self._server.answer_seconds)
        except NotTaken:
            _leave(client)
            raise
        finally:
            client.close()


async def _aside(work: Callable[[], None]) -> None:
    """In a thread that dies with the process: one of a pool, which may wait ten minutes for an
    answer, would keep the process from ending."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if ended.done():  # nobody waits any more
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def carry_out() -> None:
        failure: BaseException | None = None
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # the caller's, whatever it is
            failure = error
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(tell, failure)

    threading.Thread(target=carry_out, name="animus-smtp", daemon=True).start()
    await ended


def _connected(server: SmtpServer) -> smtplib.SMTP:
    """A session that is greeted, encrypted and logged in, as the settings say."""
    context = _context(server)
    login = _login(server)
    try:
        client = _opened(server, context)
    except (OSError, ValueError, smtplib.SMTPException) as error:
        raise _not_reached(error) from error
    try:
        _wait_at_most(client, COMMAND_SECONDS)
        client.ehlo_or_helo_if_needed()
        if server.tls == "starttls":
            client.starttls(context=context)
            client.ehlo()
        if login is not None:
            client.login(*login)
    except (OSError, ValueError, smtplib.SMTPException) as error:
        client.close()
        raise _not_reached(error) from error
    return client


def _login(server: SmtpServer) -> tuple[str, str] | None:
    """Read anew each time. SMTP's ways of logging in know ASCII only, as Python has them."""
    if server.user is None or server.password_file is None:
        return None
    try:
        login = server.user, server.password_file.read_text().strip()
    except OSError as error:
        raise NotTaken("smtp_password_unreadable") from error
    except ValueError:  # it would show a piece of the password
        raise NotTaken("smtp_password_unfit") from None
    if not all(one and one.isascii() and one.isprintable() for one in login):
        raise NotTaken("smtp_password_unfit")
    return login


def _wait_at_most(client: smtplib.SMTP, seconds: float) -> None:
    if client.sock is not None:
        client.sock.settimeout(seconds)


def _opened(server: SmtpServer, context: ssl.SSLContext) -> smtplib.SMTP:
    if server.tls == "implicit":
        return smtplib.SMTP_SSL(
            server.host, server.port, local_hostname=server.domain, timeout=CONNECT_SECONDS,
            context=context,
        )  # fmt: skip
    return smtplib.SMTP(
        server.host, server.port, local_hostname=server.domain, timeout=CONNECT_SECONDS
    )


def _context(server: SmtpServer) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(server.ca_file) if server.ca_file else None)
    except OSError as error:
        raise NotTaken("smtp_ca_unreadable") from error


def _not_reached(error: Exception) -> NotTaken:
    """Before the message: always about us, or about the server."""
    match error:
        case ssl.SSLError():
            code = "smtp_tls_refused"
        case smtplib.SMTPAuthenticationError():
            code = f"smtp_login_refused_{error.smtp_code}"
        case smtplib.SMTPNotSupportedError():
            code = "smtp_not_supported"
        case smtplib.SMTPResponseException():
            code = f"smtp_refused_{error.smtp_code}"
        case _:
            code = "smtp_unreachable"
    _log.warning("mail_server_refused", code=code, detail=visible(str(error))[:300])
    return NotTaken(code)


def _announce(client: smtplib.SMTP, server: SmtpServer, parcel: Parcel) -> None:
    try:
        reply, said = client.mail(server.sender)
        if reply != _READY:
            raise NotTaken(_code("sender", reply, said))
        reply, said = client.rcpt(parcel.place)
        if reply not in (_READY, 251):
            raise _recipient_refused(parcel, reply, said)
    except (OSError, smtplib.SMTPException) as error:
        raise NotTaken("smtp_connection_lost") from error


def _recipient_refused(parcel: Parcel, reply: int, said: bytes) -> NotTaken:
    """For good only where it is said of the mailbox itself; a full one may be emptied."""
    code = _code("recipient", reply, said)
    enhanced = _enhanced(said)
    if enhanced is not None:
        for_good = _NO_SUCH_MAILBOX.match(enhanced) is not None
    else:
        for_good = reply in _MAILBOX_REPLIES and b"relay" not in said.lower()
    words = _without(parcel.place, visible(said.decode("utf-8", "replace")))
    _log.warning("mail_refused", notification_id=str(parcel.id), code=code, detail=words[:300])
    return NotTaken(code, for_good=for_good)


def _without(address: str, words: str) -> str:
    """Also where the server says the address in letters of another size."""
    return re.sub(re.escape(address), "the recipient", words, flags=re.IGNORECASE)


def _send_all_but_the_end(client: smtplib.SMTP, parcel: Parcel, server: SmtpServer) -> None:
    """No server may take a message whose end it has not seen."""
    content = _dotted(_message(parcel, server))
    try:
        client.putcmd("data")
        reply, said = client.getreply()
        if reply != _GO_ON:
            raise NotTaken(_code("data", reply, said))
        client.send(content)
    except (OSError, smtplib.SMTPException) as error:
        raise NotTaken("smtp_connection_lost") from error


def _end_and_hear(client: smtplib.SMTP, seconds: float) -> None:
    try:
        _wait_at_most(client, seconds)
        client.send(b".\r\n")
        reply, said = client.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise Unanswered from error
    if reply != _READY:
        code = _code("message", reply, said)
        enhanced = _enhanced(said) or ""
        raise NotTaken(code, for_good=_NO_SUCH_MAILBOX.match(enhanced) is not None)
    _leave(client)


def _leave(client: smtplib.SMTP) -> None:
    try:
        _wait_at_most(client, LEAVE_SECONDS)
        client.quit()
    except (OSError, smtplib.SMTPException):
        client.close()


def _enhanced(said: bytes) -> str | None:
    found = _ENHANCED.match(said.decode("ascii", "replace"))
    return found.group(1) if found else None


def _code(about: str, reply: int, said: bytes) -> str:
    enhanced = _enhanced(said)
    return f"smtp_{about}_refused_{reply}" + (f"_{enhanced}" if enhanced else "")


def _message(parcel: Parcel, server: SmtpServer) -> bytes:
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = formataddr((server.sender_name, server.sender))
    message["To"] = parcel.place
    message["Subject"] = visible(parcel.letter.subject)[:250]
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<{parcel.id}@{server.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(parcel.letter.text, charset="utf-8", cte="quoted-printable")
    return message.as_bytes()


def _dotted(message: bytes) -> bytes:
    """With a second dot where a line begins with one (RFC 5321 section 4.5.2), ending in CRLF."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    stuffed = re.sub(rb"(?m)^\.", b"..", lines)
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"
