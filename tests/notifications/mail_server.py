"""`python -m tests.notifications.mail_server FOLDER PORT`: a real SMTP server in its own process.

What it takes it keeps as a file before it answers. The folder's files tell it how to behave:

    refuse-<stage>   the reply of that stage instead of 250; the file holds it
    once-<stage>     the same, for one reply only
    hold-<stage>     wait at that stage as long as the file is there
    reached-<stage>  written by the server when it holds there

Stages: `rcpt`; `taken`, which is after the mail was kept and before it is answered; `end`, which is
after the last dot and before the mail is kept.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from uuid import uuid4

from aiosmtpd.smtp import SMTP, Envelope, Session

OK = "250 2.0.0 OK"
POLL = 0.02


class Handler:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mails = folder / "mails"
        self._mails.mkdir(exist_ok=True)

    async def handle_RCPT(  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        refusal = await self._at("rcpt")
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return OK

    async def handle_DATA(  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        del server, session
        refusal = await self._at("end")
        if refusal is not None:
            return refusal
        self._keep(envelope)
        return await self._at("taken") or OK

    async def _at(self, stage: str) -> str | None:
        hold = self._folder / f"hold-{stage}"
        if hold.exists():
            (self._folder / f"reached-{stage}").touch()
        while hold.exists():  # noqa: ASYNC110  # another process removes it
            await asyncio.sleep(POLL)
        once, always = self._folder / f"once-{stage}", self._folder / f"refuse-{stage}"
        for file in (once, always):
            if file.exists():
                said = file.read_text()
                once.unlink(missing_ok=True)
                return said
        return None

    def _keep(self, envelope: Envelope) -> None:
        content = envelope.original_content or b""
        head = f"X-Envelope-To: {', '.join(envelope.rcpt_tos)}\r\n".encode()
        part = self._mails / f".{uuid4().hex}"
        with part.open("wb") as file:
            file.write(head + content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(self._mails / f"{uuid4().hex}.eml")


async def serve(folder: Path, port: int) -> None:
    loop = asyncio.get_running_loop()
    handler = Handler(folder)
    server = await loop.create_server(
        lambda: SMTP(handler, hostname="mail.test", loop=loop, data_size_limit=2**26),
        "127.0.0.1",
        port,
    )
    (folder / "ready").touch()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
