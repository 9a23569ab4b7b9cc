"""Uploads to presigned URLs: a few at a time, with fresh URLs where theirs have expired."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from animus_sdk.errors import TransferFailed
from animus_sdk.transfer.digests import CHUNK
from animus_sdk.transfer.links import open_regular, shown
from animus_sdk.transfer.progress import Progress, Silent
from animus_sdk.transfer.stores import Store, UrlRefused, file_changed
from animus_sdk.wire.views import Upload

WORKERS = 4
FRESH_URLS = 3
"""How often an object may get a fresh URL before the store's refusal is believed."""
LEAVE_SECONDS = 2.0
"""How long uploads that are broken off are waited for: the store may be silent."""

Renew = Callable[[], Sequence[Upload]]
"""Asks for fresh URLs of everything that is still missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """What became of the objects that were to be uploaded."""

    sent: int
    sent_bytes: int
    already: int
    """Put there by somebody else meanwhile, or by an earlier try of ours."""


class Stopped(Exception):
    """Another upload of the same batch has failed, or the caller was interrupted."""


def upload_all(
    store: Store,
    uploads: Sequence[Upload],
    sources: Mapping[str, Path | bytes],
    *,
    renew: Renew,
    progress: Progress | None = None,
) -> Uploaded:
    """Put every object; `sources` has the bytes by digest. Ends at the first failure, and at
    Ctrl+C: whoever presses it does not wait for a store that is silent."""
    batch = _Batch(store, sources, renew=renew, progress=progress or Silent())
    batch.progress.begin(sum(upload["size"] for upload in uploads))
    lanes = _Lanes(batch, uploads)
    try:
        sent = lanes.carry_out()
    finally:
        batch.stop()
        lanes.leave()
    return Uploaded(
        sent=sum(sent),
        sent_bytes=sum(u["size"] for u, was_sent in zip(uploads, sent, strict=True) if was_sent),
        already=len(sent) - sum(sent),
    )


def listed(upload: Upload | None) -> list[Upload]:
    """The one upload of an answer; none where the store has the content already."""
    return [upload] if upload is not None else []


class _Lanes:
    """Threads that take one upload after another. They die with the process, which a thread of a
    pool would keep from ending."""

    def __init__(self, batch: _Batch, uploads: Sequence[Upload]) -> None:
        self._batch = batch
        self._count = len(uploads)
        self._waiting = deque(enumerate(uploads))
        self._ended: SimpleQueue[tuple[int, bool] | BaseException] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def carry_out(self) -> list[bool]:
        """Of each upload whether it was sent from here. Raises the first failure."""
        for _ in range(min(WORKERS, self._count)):
            thread = threading.Thread(target=self._work, name="animus-upload", daemon=True)
            thread.start()
            self._threads.append(thread)
        sent = [False] * self._count
        for _ in range(self._count):
            said = self._ended.get()
            if isinstance(said, BaseException):
                raise said
            sent[said[0]] = said[1]
        return sent

    def leave(self) -> None:
        give_up = time.monotonic() + LEAVE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, give_up - time.monotonic()))

    def _work(self) -> None:
        while not self._batch.is_stopping:
            try:
                place, upload = self._waiting.popleft()
            except IndexError:
                return
            try:
                self._ended.put((place, self._batch.upload(upload)))
            except BaseException as error:  # noqa: BLE001  # the caller's, whatever it is
                self._ended.put(error)
                return


class _Batch:
    def __init__(
        self,
        store: Store,
        sources: Mapping[str, Path | bytes],
        *,
        renew: Renew,
        progress: Progress,
    ) -> None:
        self.progress = progress
        self._store = store
        self._sources = sources
        self._renew = renew
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._fresh: dict[str, Upload] | None = None

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def stop(self) -> None:
        self._stopping.set()

    def upload(self, upload: Upload) -> bool:
        """Whether the bytes were sent from here; False where the store had them."""
        digest = upload["sha256"]
        for _ in range(FRESH_URLS):
            sending = _Sending(
                self._sources[digest],
                size=upload["size"],
                progress=self.progress,
                stopping=self._stopping,
            )
            try:
                return self._store.put(
                    upload["url"],
                    headers=upload["headers"],
                    content=sending.chunks,
                    what=sending.what,
                )
            except UrlRefused:
                fresh = self._find_fresh(upload)
                if fresh is None:  # the gateway knows it as stored
                    return False
                upload = fresh
        raise TransferFailed(
            "The object store refuses every URL that the gateway signs. Compare the clocks of"
            " both, and tell the operators.",
            code="urls_refused",
        )

    def _find_fresh(self, refused: Upload) -> Upload | None:
        """A URL other than the one that was refused; asked for once for all that wait."""
        with self._lock:
            known = (self._fresh or {}).get(refused["sha256"])
            if self._fresh is None or known is None or known["url"] == refused["url"]:
                self._fresh = {upload["sha256"]: upload for upload in self._renew()}
            return self._fresh.get(refused["sha256"])


class _Sending:
    """The bytes of one object, from the beginning each time they are asked for."""

    def __init__(
        self, source: Path | bytes, *, size: int, progress: Progress, stopping: threading.Event
    ) -> None:
        self.what = "the content" if isinstance(source, bytes) else shown(source)
        self._source = source
        self._size = size
        self._progress = progress
        self._stopping = stopping
        self._told = 0

    def chunks(self) -> Iterator[bytes]:
        """Exactly as many bytes as were announced, or `TransferFailed`."""
        self._progress.advance(-self._told)
        self._told = 0
        for chunk in self._read():
            if self._stopping.is_set():
                raise Stopped
            if self._told + len(chunk) > self._size:
                raise file_changed(self.what)
            yield chunk
            self._told += len(chunk)
            self._progress.advance(len(chunk))
        if self._told != self._size:
            raise file_changed(self.what)

    def _read(self) -> Iterator[bytes]:
        if isinstance(self._source, bytes):
            yield self._source
            return
        with open(open_regular(self._source), "rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                yield chunk
