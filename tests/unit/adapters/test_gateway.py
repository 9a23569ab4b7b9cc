"""The agent's client of the api when there is more to ask than may be asked at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from animus.adapters.gateway import CALLS_AT_ONCE, HEARTBEATS_PATH, Gateway

LONG = 20.0
_GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@dataclass
class BusyApi:
    """Answers signs of life at once, and everything else when it is let."""

    url: str = ""
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    most: int = 0
    answered: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                if HEARTBEATS_PATH.encode() not in head:
                    await self._hold()
                writer.write(_GOOD)
        except asyncio.IncompleteReadError:
            writer.close()

    async def _hold(self) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        if self.at_once == CALLS_AT_ONCE:
            self.busy.set()
        await self.go_on.wait()
        self.at_once -= 1
        self.answered += 1


@asynccontextmanager
async def busy_api() -> AsyncIterator[BusyApi]:
    api = BusyApi()
    server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
    async with server:
        api.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield api


async def test_an_agent_with_much_to_ask_gives_signs_of_life(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("animus_agent")
    async with busy_api() as api:
        gateway = Gateway(api.url, token_file=token_file)
        asked = 5 * CALLS_AT_ONCE
        calls = [asyncio.create_task(gateway.ask_as_agent("/work", {})) for _ in range(asked)]
        async with asyncio.timeout(LONG):
            await api.busy.wait()
            await gateway.send_heartbeat("1")
            assert api.answered == 0
            api.go_on.set()
            assert await asyncio.gather(*calls) == [b"{}"] * asked
        assert (api.most, api.answered) == (CALLS_AT_ONCE, asked)
        await gateway.close()
