"""The mail server as tests drive it: started, killed, told to refuse, read."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import Process, create_subprocess_exec
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from tests.support.ports import reserved_port
from tests.support.waiting import eventually


@dataclass(slots=True, kw_only=True)
class MailServer:
    folder: Path
    port: int = field(default_factory=reserved_port)
    _process: Process | None = field(default=None, init=False)

    async def start(self) -> None:
        (self.folder / "ready").unlink(missing_ok=True)
        self._process = await create_subprocess_exec(
            sys.executable, "-m", "tests.notifications.mail_server", self.folder, str(self.port)
        )
        await eventually(self._is_there("ready"), "the mail server is ready")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None

    def refuse(self, stage: str, reply: str, *, once: bool = False) -> None:
        (self.folder / f"{'once' if once else 'refuse'}-{stage}").write_text(reply)

    @contextmanager
    def holding(self, stage: str) -> Iterator[None]:
        """The server waits at that stage; it goes on at the end of the block."""
        (self.folder / f"reached-{stage}").unlink(missing_ok=True)
        (self.folder / f"hold-{stage}").touch()
        try:
            yield
        finally:
            (self.folder / f"hold-{stage}").unlink(missing_ok=True)

    async def reached(self, stage: str) -> None:
        await eventually(self._is_there(f"reached-{stage}"), f"a session is at {stage}")

    def accept_all(self) -> None:
        for file in (*self.folder.glob("refuse-*"), *self.folder.glob("once-*")):
            file.unlink(missing_ok=True)

    def mails(self, address: str) -> list[EmailMessage]:
        """Everything that was kept for somebody."""
        found = []
        for file in sorted((self.folder / "mails").glob("*.eml")):
            mail = message_from_bytes(file.read_bytes(), policy=default)
            assert isinstance(mail, EmailMessage)
            if mail["X-Envelope-To"] == address:
                found.append(mail)
        return found

    async def mail(self, address: str, saying: str) -> EmailMessage:
        """The one mail to somebody with these words in its subject."""

        async def look() -> EmailMessage | None:
            await asyncio.sleep(0)
            found = [one for one in self.mails(address) if saying in one["Subject"]]
            assert len(found) < 2, [one["Subject"] for one in found]
            return found[0] if found else None

        return await eventually(look, f"a mail to {address} that says {saying!r}")

    def _is_there(self, name: str) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            await asyncio.sleep(0)
            return (self.folder / name).exists()

        return look
