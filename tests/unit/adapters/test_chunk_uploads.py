"""Chunks on their way to a store that answers what nobody can read."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from uuid import uuid4

from animus.adapters.chunk_uploads import ChunkUploads
from animus.adapters.gateway import Gateway
from animus.agent.live_logs import Put, ReadyChunk
from animus.domain.canonical import JsonObject
from animus.domain.ids import AttemptId
from animus.domain.log_chunks import LogChunk

GARBLED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"


class Placing(Gateway):
    """Names one place for whatever is asked."""

    def __init__(self, place: JsonObject, *, token_file: Path) -> None:
        super().__init__("http://127.0.0.1:1", token_file=token_file)
        self._place = place

    async def ask_as_agent(self, path: str, body: JsonObject) -> bytes:
        return json.dumps({"places": [self._place]}).encode()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(GARBLED)
    await writer.drain()
    writer.close()


async def test_an_answer_that_cannot_be_read_is_a_chunk_to_try_again(tmp_path: Path) -> None:
    attempt = AttemptId(uuid4())
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        place: JsonObject = {
            "attempt_id": str(attempt), "url": f"http://{host}:{port}/live", "headers": {},
        }  # fmt: skip
        gateway = Placing(place, token_file=tmp_path / "token")
        chunk = LogChunk(offset=0, size=5)
        ready = ReadyChunk(attempt_id=attempt, chunk=chunk, content=b"line\n")
        put = await ChunkUploads(gateway).put([ready])
        await gateway.close()
    assert put == {attempt: Put.FAILED}
