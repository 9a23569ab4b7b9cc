"""What a namespace holds of this cluster's attempts, kept current by one watch for each kind.

A watch is only quicker than asking. Whatever ends it - a dropped connection, an api server that
starts again, a version that is forgotten, its own time - everything is listed again, and what is
listed is the truth: what is missing there is gone.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import orjson
import structlog

from animus.adapters.kubernetes.clients import Kind, KubernetesClient, Listing
from animus.adapters.kubernetes.errors import ClusterUnavailable, ListExpired
from animus.adapters.kubernetes.streams import Stream, lines_of
from animus.domain.canonical import JsonObject

WATCH_SECONDS = 240
"""After which everything is listed again, whether or not the watch has said anything."""
BLIND_AFTER = 2 * WATCH_SECONDS
"""Since a kind was listed; then whoever waits must ask the api server himself."""
PAUSE_SECONDS = 1.0
JOB_NAME = "batch.kubernetes.io/job-name"
"""The label by which a pod names its Job."""
_DELETED, _BOOKMARK = "DELETED", "BOOKMARK"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there is of one Job now, as far as it is known."""

    job: JsonObject | None
    pods: tuple[JsonObject, ...]
    events: tuple[JsonObject, ...]
    """Warnings about the Job itself."""


class _Shelf:
    """The objects of one kind: by the Job that they are about, then by name."""

    def __init__(self, kind: Kind) -> None:
        self.is_filled = False
        self._kind = kind
        self._objects: dict[str, dict[str, JsonObject]] = {}

    def of(self, job: str) -> tuple[JsonObject, ...]:
        return tuple(self._objects.get(job, {}).values())

    def put(self, item: JsonObject) -> str:
        job = _subject(self._kind, item)
        item["metadata"].pop("managedFields", None)  # who wrote what: half of an object
        self._objects.setdefault(job, {})[item["metadata"]["name"]] = item
        return job

    def drop(self, item: JsonObject) -> str:
        job = _subject(self._kind, item)
        of_the_job = self._objects.get(job, {})
        of_the_job.pop(item["metadata"]["name"], None)
        if not of_the_job:
            self._objects.pop(job, None)
        return job

    def replace(self, items: Iterable[JsonObject]) -> set[str]:
        """The Jobs of which something may have changed."""
        jobs = set(self._objects)
        self._objects, self.is_filled = {}, True
        return jobs | {self.put(item) for item in items}


class Watcher:
    """One for a namespace. Its threads end with the process, or when it is closed."""

    def __init__(self, client: KubernetesClient, selector: str) -> None:
        self._client = client
        self._selector = selector
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._shelves = {kind: _Shelf(kind) for kind in Kind}
        self._listed = dict.fromkeys(Kind, time.monotonic())
        self._waiting: dict[str, asyncio.Event] = {}
        self._streams: dict[Kind, Stream] = {}
        self._closed = threading.Event()
        for kind in Kind:
            threading.Thread(
                target=self._keep, args=(kind,), name=f"watch-{kind}", daemon=True
            ).start()

    async def wait_filled(self, *, within: float) -> None:
        """Until everything was listed once. Raises `ClusterUnavailable`."""
        deadline = self._loop.time() + within
        while not all(shelf.is_filled for shelf in self._shelves.values()):
            if self._loop.time() > deadline:
                raise ClusterUnavailable("The cluster's objects can't be listed.")
            await asyncio.sleep(PAUSE_SECONDS / 10)

    @property
    def is_blind(self) -> bool:
        """Whether something was not listed for so long that what is known may be wrong."""
        return time.monotonic() - min(self._listed.values()) > BLIND_AFTER

    def look(self, job: str) -> Seen:
        """What is known of a Job by name; what changes after this ends the next `wait`."""
        self._waiting.setdefault(job, asyncio.Event()).clear()
        with self._lock:
            return Seen(
                job=next(iter(self._shelves[Kind.JOBS].of(job)), None),
                pods=self._shelves[Kind.PODS].of(job),
                events=self._shelves[Kind.EVENTS].of(job),
            )

    async def wait(self, job: str, *, within: float) -> None:
        """Until something of the Job has changed since the last look, or time is over."""
        changed = self._waiting.setdefault(job, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await changed.wait()

    def forget(self, job: str) -> None:
        self._waiting.pop(job, None)

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            streams = list(self._streams.values())
        for stream in streams:
            with suppress(OSError, ValueError):
                stream.shutdown()

    def _keep(self, kind: Kind) -> None:
        """A thread's whole life."""
        while not self._closed.is_set():
            try:
                listing = self._client.list_now(kind, self._selector)
                self._replace(kind, listing)
                self._follow(kind, listing.version)
            except ListExpired:
                _log.info("watch_expired", kind=str(kind))
            except ClusterUnavailable as error:
                if self._closed.is_set():
                    return
                _log.warning("watch_interrupted", kind=str(kind), detail=error.detail)
            self._closed.wait(PAUSE_SECONDS)  # whatever ends watches, it may end each at once

    def _follow(self, kind: Kind, version: str) -> None:
        stream = self._client.watch(kind, self._selector, version=version, seconds=WATCH_SECONDS)
        with self._lock:
            self._streams[kind] = stream
        try:
            for change in changes_of(stream):
                if self._closed.is_set():
                    return
                self._apply(kind, change)
        finally:
            with self._lock:
                self._streams.pop(kind, None)
            stream.close()

    def _replace(self, kind: Kind, listing: Listing) -> None:
        with self._lock:
            changed = self._shelves[kind].replace(listing.items)
            self._listed[kind] = time.monotonic()
        self._tell(changed)

    def _apply(self, kind: Kind, change: JsonObject) -> None:
        what, item = change["type"], change["object"]
        if what == _BOOKMARK:
            return
        with self._lock:
            shelf = self._shelves[kind]
            job = shelf.drop(item) if what == _DELETED else shelf.put(item)
        self._tell((job,))

    def _tell(self, jobs: Iterable[str]) -> None:
        with suppress(RuntimeError):  # the loop has ended, and so does this thread
            self._loop.call_soon_threadsafe(self._wake, tuple(jobs))

    def _wake(self, jobs: Iterable[str]) -> None:
        for job in jobs:
            if (waiting := self._waiting.get(job)) is not None:
                waiting.set()


def changes_of(stream: Stream) -> Iterator[JsonObject]:
    """Raises `ListExpired`, and `ClusterUnavailable` for a stream that breaks off."""
    for line in lines_of(stream):
        change = _read_change(line)
        if change["type"] == "ERROR":
            if change["object"].get("code") == 410:
                raise ListExpired
            raise ClusterUnavailable("A watch failed.", detail=str(change["object"])[:300])
        yield change


def _read_change(line: bytes) -> JsonObject:
    """A proxy that ends a stream in the middle of a line leaves half of one."""
    try:
        change: JsonObject = orjson.loads(line)
    except ValueError:
        raise ClusterUnavailable("A watch broke off in a line.", detail=repr(line[:100])) from None
    return change


def _subject(kind: Kind, item: JsonObject) -> str:
    """The name of the Job that an object is about."""
    match kind:
        case Kind.JOBS:
            return str(item["metadata"]["name"])
        case Kind.PODS:
            labels = item["metadata"].get("labels") or {}
            return str(labels.get(JOB_NAME, ""))
        case Kind.EVENTS:
            return str(item["involvedObject"].get("name", ""))
