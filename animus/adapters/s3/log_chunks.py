"""Chunks of live logs, in the staging bucket as `live/<attempt>/<offset>` until they are swept."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID
from xml.sax.saxutils import escape, unescape

from urllib3.exceptions import HTTPError

from animus.adapters.s3.faults import NOT_THERE, Refusal, explain
from animus.adapters.s3.presigning import Presigner
from animus.adapters.s3.signing import Pairs
from animus.adapters.s3.transport import Call, Transport
from animus.domain.ids import AttemptId
from animus.domain.log_chunks import MAX_CHUNK_BYTES, LogChunk, chunk_name, read_chunk_name
from animus.ports import PresignedPut

THREADS = 4
"""Apart from those of all other calls: who follows a log keeps nobody else waiting."""
PAGE = 1_000
_FOLDER = "live/"
_MAX_PAGE_BYTES = 4 * 1024**2
_CONTENTS = re.compile(rb"<Contents>(.*?)</Contents>", re.DOTALL)
_KEY = re.compile(rb"<Key>(.*?)</Key>", re.DOTALL)
_QUOTES = {"&quot;": '"', "&#34;": '"', "&apos;": "'", "&#39;": "'"}
_SIZE = re.compile(rb"<Size>(\d+)</Size>")
_PREFIXES = re.compile(
    rb"<CommonPrefixes>\s*<Prefix>live/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/</Prefix>"
)
_MORE = re.compile(rb"<NextContinuationToken>([^<]+)</NextContinuationToken>")

T = TypeVar("T")


class S3LogChunks:
    """Implements `animus.ports.LogChunks`."""

    def __init__(
        self,
        transport: Transport,
        presigner: Presigner,
        *,
        bucket: str,
        now: Callable[[], datetime],
    ) -> None:
        self._transport = transport
        self._presigner = presigner
        self._bucket = bucket
        self._now = now
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3-live")

    def presign_put(
        self, attempt_id: AttemptId, chunk: LogChunk, sha256: bytes, *, expires: timedelta
    ) -> PresignedPut:
        path = f"/{self._bucket}/{_folder(attempt_id)}{chunk.name}"
        return self._presigner.put(path, sha256, size=chunk.size, at=self._now(), expires=expires)

    async def list_chunks(self, attempt_id: AttemptId, *, since: int) -> Sequence[LogChunk]:
        return await self._call(partial(self._list, attempt_id, since))

    async def find_content(self, attempt_id: AttemptId, chunk: LogChunk) -> bytes | None:
        return await self._call(partial(self._find_content, attempt_id, chunk))

    async def list_attempts(self) -> Sequence[AttemptId]:
        return await self._call(lambda: list(self._attempts()))

    async def remove(self, attempt_id: AttemptId) -> None:
        await self._call(partial(self._remove, attempt_id))

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except (Refusal, HTTPError) as fault:
            raise explain(fault) from None

    def _list(self, attempt_id: AttemptId, since: int) -> list[LogChunk]:
        """The next of them; what else there is under the attempt's name hides none."""
        folder = _folder(attempt_id)
        # The name before the first one that is wanted: what is asked for begins after it.
        after = f"{folder}{chunk_name(since - 1)}~" if since else ""
        while entries := self._entries(folder, after=after):
            found = (read_chunk_name(key.removeprefix(folder), size=size) for key, size in entries)
            if chunks := [chunk for chunk in found if chunk is not None]:
                return chunks
            after, _ = entries[-1]
        return []

    def _find_content(self, attempt_id: AttemptId, chunk: LogChunk) -> bytes | None:
        call = Call(method="GET", bucket=self._bucket, key=_folder(attempt_id) + chunk.name)
        try:
            with self._transport.open(call) as response:
                return bytes(response.read(MAX_CHUNK_BYTES))
        except Refusal as refusal:
            if refusal.code in NOT_THERE:
                return None
            raise

    def _attempts(self) -> Iterator[AttemptId]:
        query: Pairs = (("delimiter", "/"), ("prefix", _FOLDER))
        more: Pairs = ()
        while True:
            page = self._page(*query, *more)
            for name in _PREFIXES.findall(page):
                yield AttemptId(UUID(name.decode()))
            token = _MORE.search(page)
            if token is None:
                return
            more = (("continuation-token", token[1].decode()),)

    def _remove(self, attempt_id: AttemptId) -> None:
        while entries := self._entries(_folder(attempt_id)):
            objects = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key, _ in entries)
            body = f"<Delete><Quiet>true</Quiet>{objects}</Delete>".encode()
            digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest())
            answer = self._transport.send(
                Call(
                    method="POST",
                    bucket=self._bucket,
                    query=(("delete", ""),),
                    headers={"content-md5": digest.decode()},
                    body=body,
                )
            )
            if b"<Error>" in answer.body:
                raise Refusal(status=answer.status, code=None, bucket=self._bucket)

    def _entries(self, folder: str, *, after: str = "") -> list[tuple[str, int]]:
        """A page of keys and sizes, whoever put them there; an empty one is the last."""
        begin = (("start-after", after),) if after else ()
        page = self._page(("prefix", folder), *begin)
        found = ((_KEY.search(entry), _SIZE.search(entry)) for entry in _CONTENTS.findall(page))
        return [
            (unescape(key[1].decode(), _QUOTES), int(size[1]))
            for key, size in found
            if key and size
        ]

    def _page(self, *query: tuple[str, str]) -> bytes:
        said = (("list-type", "2"), ("max-keys", str(PAGE)), *query)
        call = Call(method="GET", bucket=self._bucket, query=said)
        with self._transport.open(call) as response:
            return bytes(response.read(_MAX_PAGE_BYTES))


def _folder(attempt_id: AttemptId) -> str:
    return f"{_FOLDER}{attempt_id}/"
