"""The object store over S3: signs permissions, verifies what arrived. Artifacts' bytes only pass
through here to be verified, or as small documents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from typing import TypeVar

from urllib3.exceptions import HTTPError

from animus.adapters.s3 import objects
from animus.adapters.s3.buckets import prepare_buckets
from animus.adapters.s3.faults import Refusal, explain
from animus.adapters.s3.log_chunks import THREADS as LIVE_CALLS
from animus.adapters.s3.log_chunks import S3LogChunks
from animus.adapters.s3.objects import Location
from animus.adapters.s3.presigning import Presigner
from animus.adapters.s3.probe import probe_store, require_fit
from animus.adapters.s3.settings import Endpoint, S3Settings, object_key
from animus.adapters.s3.transport import Call, Transport
from animus.domain.digests import Digest
from animus.domain.errors import AnimusError
from animus.domain.ids import ProjectId
from animus.ports import (
    ObjectContent,
    PresignedGet,
    PresignedPut,
    StoreCapabilities,
    StoredObject,
    VerifiedBy,
    VerifiedObject,
)

SHORT_CALLS = 8
"""Threads for calls that take milliseconds; the rest wait their turn."""
LONG_READS = 2
"""Threads that read objects: hashing fills a core, and must not keep short calls waiting."""
CONNECTIONS = SHORT_CALLS + LONG_READS + LIVE_CALLS
READY_WITHIN = timedelta(seconds=2)

T = TypeVar("T")


def utc_now() -> datetime:
    return datetime.now(UTC)


class S3ObjectStore:
    """Implements `animus.ports.ObjectStore`. Until `probe` ran, it trusts no checksum."""

    def __init__(self, settings: S3Settings, *, now: Callable[[], datetime] = utc_now) -> None:
        self._settings = settings
        self._now = now
        self._trusted = False
        self._endpoint = Endpoint.parse("endpoint", settings.endpoint)
        self._public = self._presigner(Endpoint.parse("public_endpoint", settings.public_endpoint))
        self._transport = Transport(
            self._endpoint, settings.signing_key(), now=now, connections=CONNECTIONS
        )
        self._log_chunks = S3LogChunks(
            self._transport, self._public, bucket=settings.staging, now=now
        )
        self._calls = ThreadPoolExecutor(SHORT_CALLS, thread_name_prefix="s3-call")
        self._reads = ThreadPoolExecutor(LONG_READS, thread_name_prefix="s3-read")

    @property
    def log_chunks(self) -> S3LogChunks:
        return self._log_chunks

    async def prepare(self) -> None:
        await self._call(partial(prepare_buckets, self._transport, self._settings, self._endpoint))

    async def probe(self) -> StoreCapabilities:
        capabilities = await self._call(
            partial(
                probe_store,
                self._transport,
                self._presigner(self._endpoint),
                settings=self._settings,
                at=self._now(),
            )
        )
        require_fit(capabilities)
        self._trusted = capabilities.checks_put_checksum
        return capabilities

    async def is_ready(self) -> bool:
        ask = Call(method="GET", bucket=self._settings.artifacts, query=(("location", ""),))
        try:
            async with asyncio.timeout(READY_WITHIN.total_seconds()):
                await self._call(partial(self._transport.send, ask))
        except (AnimusError, TimeoutError):
            return False
        return True

    def presign_put(
        self, project_id: ProjectId, sha256: bytes, *, size: int, expires: timedelta
    ) -> PresignedPut:
        path = self._path(project_id, sha256)
        return self._public.put(path, sha256, size=size, at=self._now(), expires=expires)

    def presign_get(
        self,
        project_id: ProjectId,
        sha256: bytes,
        *,
        version_id: str,
        expires: timedelta,
        filename: str | None = None,
    ) -> PresignedGet:
        return self._public.get(
            self._path(project_id, sha256),
            version_id=version_id,
            at=self._now(),
            expires=expires,
            filename=filename,
        )

    async def find_object(self, project_id: ProjectId, sha256: bytes) -> StoredObject | None:
        location = self._location(project_id, sha256)
        return await self._call(partial(objects.find, self._transport, location))

    async def verify(self, project_id: ProjectId, sha256: bytes, *, size: int) -> VerifiedObject:
        location = self._location(project_id, sha256)
        found = await self.find_object(project_id, sha256)
        if found is None:
            raise objects.missing(location)
        version_id = objects.require_version(location, found, size=size)
        if self._trusted and found.sha256 is not None:
            digest, verified_by = found.sha256, VerifiedBy.STORE_PUT
        else:
            content = await self.stream_digest(project_id, sha256, version_id=version_id)
            digest, verified_by = content.sha256, VerifiedBy.STREAM
        objects.require_digest(location, digest)
        return VerifiedObject(version_id=version_id, verified_by=verified_by)

    async def get_bytes(
        self, project_id: ProjectId, sha256: bytes, *, version_id: str, limit: int
    ) -> bytes:
        location = self._location(project_id, sha256)
        read = partial(objects.read, self._transport, location, version_id=version_id, limit=limit)
        return await self._read(read)

    async def get_part(
        self, project_id: ProjectId, sha256: bytes, *, version_id: str, begin: int, size: int
    ) -> bytes:
        location = self._location(project_id, sha256)
        return await self._call(
            partial(
                objects.read_part,
                self._transport,
                location,
                version_id=version_id,
                begin=begin,
                size=size,
            )
        )

    async def stream_digest(
        self, project_id: ProjectId, sha256: bytes, *, version_id: str
    ) -> ObjectContent:
        location = self._location(project_id, sha256)
        read = partial(objects.digest_content, self._transport, location, version_id=version_id)
        return await self._read(read)

    async def discard(self, project_id: ProjectId, sha256: bytes, *, version_id: str) -> None:
        location = self._location(project_id, sha256)
        await self._call(partial(objects.discard, self._transport, location, version_id=version_id))

    async def close(self) -> None:
        for threads in (self._calls, self._reads):
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)
        await self._log_chunks.close()
        self._transport.close()

    async def _call(self, work: Callable[[], T]) -> T:
        return await self._in_thread(self._calls, work)

    async def _read(self, work: Callable[..., T]) -> T:
        """`work` takes `stop`, which is set when the caller was cancelled."""
        stop = Event()
        try:
            return await self._in_thread(self._reads, partial(work, stop=stop))
        finally:
            stop.set()

    async def _in_thread(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, work)
        except (Refusal, HTTPError) as fault:
            raise explain(fault) from None

    def _presigner(self, endpoint: Endpoint) -> Presigner:
        return Presigner(
            endpoint=endpoint,
            download_key=self._settings.signing_key(),
            upload_key=self._settings.upload_key(),
        )

    def _location(self, project_id: ProjectId, sha256: bytes) -> Location:
        return Location(
            bucket=self._settings.artifacts,
            key=object_key(project_id, sha256),
            sha256=Digest(sha256),
        )

    def _path(self, project_id: ProjectId, sha256: bytes) -> str:
        return f"/{self._settings.artifacts}/{object_key(project_id, sha256)}"
