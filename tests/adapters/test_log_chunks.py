"""Chunks of live logs on a real Versity S3 Gateway: in order, each once, and removed whole."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import httpx
import pytest

from animus.adapters.object_store import S3ObjectStore
from animus.adapters.s3 import log_chunks
from animus.adapters.s3.settings import S3Settings
from animus.adapters.s3.transport import Call
from animus.domain.digests import sha256
from animus.domain.ids import AttemptId, ProjectId
from animus.domain.log_chunks import LogChunk
from tests.adapters.clients import MINUTES_10, send, transport_of, uploaded

pytestmark = pytest.mark.stack


@pytest.fixture
def attempt() -> AttemptId:
    return AttemptId(uuid4())


async def put(
    store: S3ObjectStore, client: httpx.AsyncClient, attempt: AttemptId, offset: int, body: bytes
) -> httpx.Response:
    chunk = LogChunk(offset=offset, size=len(body), is_full=not body)
    url = store.log_chunks.presign_put(attempt, chunk, sha256(body), expires=MINUTES_10)
    return await send(client, url, body)


async def test_chunks_are_listed_in_order_from_where_one_has_read(
    store: S3ObjectStore, client: httpx.AsyncClient, attempt: AttemptId
) -> None:
    for offset, body in ((0, b"one\n"), (4, b"two\n"), (8, b"three\n"), (14, b"")):
        assert (await put(store, client, attempt, offset, body)).status_code == 200
    chunks = [
        LogChunk(offset=0, size=4),
        LogChunk(offset=4, size=4),
        LogChunk(offset=8, size=6),
        LogChunk(offset=14, size=0, is_full=True),
    ]
    for since, first in ((0, 0), (1, 1), (4, 1), (8, 2), (14, 3), (15, 4)):
        assert await store.log_chunks.list_chunks(attempt, since=since) == chunks[first:]
    assert await store.log_chunks.find_content(attempt, chunks[2]) == b"three\n"


async def test_no_place_of_a_log_is_written_twice(
    store: S3ObjectStore, client: httpx.AsyncClient, attempt: AttemptId
) -> None:
    assert (await put(store, client, attempt, 0, b"one\n")).status_code == 200
    assert (await put(store, client, attempt, 0, b"another\n")).status_code == 412
    (chunk,) = await store.log_chunks.list_chunks(attempt, since=0)
    assert await store.log_chunks.find_content(attempt, chunk) == b"one\n"


async def test_what_is_removed_is_gone_and_nothing_else_is(
    store: S3ObjectStore,
    client: httpx.AsyncClient,
    attempt: AttemptId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_chunks, "PAGE", 2)
    others = [AttemptId(uuid4()) for _ in range(3)]
    for each in (attempt, *others):
        for offset in range(5):
            await put(store, client, each, offset, b"\n")
    assert {attempt, *others} <= set(await store.log_chunks.list_attempts())
    await store.log_chunks.remove(attempt)
    await store.log_chunks.remove(attempt)
    assert await store.log_chunks.list_chunks(attempt, since=0) == []
    assert await store.log_chunks.find_content(attempt, LogChunk(offset=0, size=1)) is None
    left = set(await store.log_chunks.list_attempts())
    assert set(others) <= left
    assert attempt not in left


async def test_foreign_names_beside_the_chunks_hide_none_and_are_removed_with_them(
    store: S3ObjectStore,
    settings: S3Settings,
    client: httpx.AsyncClient,
    attempt: AttemptId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_chunks, "PAGE", 2)
    for name in ("!", "0", "00000000000x", "000000000004.tmp", "a&b <c>", "dir/name", "zzz"):
        await put_foreign(settings, f"live/{attempt}/{name}")
    for folder in ("live/notes/1", f"live/{'-' * 36}/1"):
        await put_foreign(settings, folder)
    for offset, body in ((0, b"one\n"), (4, b"two\n")):
        assert (await put(store, client, attempt, offset, body)).status_code == 200
    seen: list[LogChunk] = []
    while page := await store.log_chunks.list_chunks(attempt, since=seen[-1].end if seen else 0):
        seen += page
    assert seen == [LogChunk(offset=0, size=4), LogChunk(offset=4, size=4)]
    assert attempt in await store.log_chunks.list_attempts()
    await store.log_chunks.remove(attempt)
    assert attempt not in await store.log_chunks.list_attempts()


async def put_foreign(settings: S3Settings, key: str) -> None:
    """As whoever else has the store's credentials."""
    call = Call(method="PUT", bucket=settings.staging, key=key, body=b"x")
    with transport_of(settings) as transport:
        await asyncio.to_thread(transport.send, call)


async def test_a_part_of_an_object_is_read(
    store: S3ObjectStore, client: httpx.AsyncClient, project: ProjectId
) -> None:
    body = b"0123456789"
    version = (await uploaded(store, client, project, body)).version_id
    for begin, size in ((0, 4), (4, 4), (8, 4), (9, 1)):
        part = await store.get_part(
            project, sha256(body), version_id=version, begin=begin, size=size
        )
        assert part == body[begin : begin + size]
