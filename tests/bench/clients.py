"""Posting JSON over kept connections, and nothing else.

Client and servers share the machine: one that costs as much as a server would be what is measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httptools
import orjson

READ_BYTES = 65_536
PATIENCE = 120.0  # seconds


class Poster:
    """As many connections as there are posts at once; each is used again."""

    def __init__(self, base_url: str, *, token: str | None = None) -> None:
        address = urlsplit(base_url)
        assert address.hostname is not None  # what is measured has an address
        assert address.port is not None
        self._host, self._port, self._path = address.hostname, address.port, address.path
        self._headers = {"Host": address.netloc, "Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._idle: list[_Connection] = []

    async def __aenter__(self) -> Poster:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for connection in self._idle:
            connection.close()

    async def post(
        self, path: str, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> Any:
        """The answer's JSON; an error for whatever is not a success."""
        content = orjson.dumps(body)
        said = {**self._headers, **(headers or {}), "Content-Length": str(len(content))}
        lines = [f"POST {self._path}{path} HTTP/1.1", *(f"{k}: {v}" for k, v in said.items())]
        request = "\r\n".join(lines).encode() + b"\r\n\r\n" + content
        connection = await self._connected()
        async with asyncio.timeout(PATIENCE):
            answer = await connection.exchange(request)
        self._idle.append(connection)
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{path}: {answer.status} {bytes(answer.body)[:500]!r}")
        return orjson.loads(answer.body)

    async def _connected(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():  # servers close what is idle for seconds
                return connection
            connection.close()
        return _Connection(*await asyncio.open_connection(self._host, self._port))


class _Answer:
    """What `httptools` calls while it reads one response."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.status = 0
        self.is_complete = False

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.is_complete = True


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def is_closed(self) -> bool:
        return self._reader.at_eof() or self._writer.is_closing()

    def close(self) -> None:
        self._writer.close()

    async def exchange(self, request: bytes) -> _Answer:
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        self._writer.write(request)
        while not answer.is_complete:
            part = await self._reader.read(READ_BYTES)
            if not part:
                raise ConnectionError("The server closed the connection before it answered.")
            parser.feed_data(part)
        answer.status = parser.get_status_code()
        return answer
