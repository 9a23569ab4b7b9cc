"""The few calls of Kubernetes' api that an agent makes, over the official client.

That one knows how to sign in, to trust and to keep connections. Objects go in and come out as JSON:
what a cluster answers is read by pure functions. The client blocks, so a call runs in a thread, and
watches have threads of their own (see `watching`); for logs, of which there are many, see
`long_answers`.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import orjson
import urllib3
from kubernetes import config
from kubernetes.client import ApiClient, ApiException, Configuration

from animus.adapters.kubernetes.errors import (
    NO_QUOTA,
    ClusterUnavailable,
    ListExpired,
    NoQuota,
    NotAdmitted,
    NotAllowed,
    Refusal,
)
from animus.adapters.kubernetes.long_answers import LongAnswers, chunks_of
from animus.adapters.kubernetes.streams import Stream
from animus.adapters.waiting import to_its_end
from animus.domain.canonical import JsonObject

FIELD_MANAGER = "animus-agent"
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
QUIET_SECONDS = 900.0
CALLS_AT_ONCE = 16
_KEPT_CONNECTIONS = CALLS_AT_ONCE + 8  # and those of watches
PAGE = 500
_SILENT = (
    urllib3.exceptions.HTTPError,
    OSError,
    ValueError,
    ApiException,  # the official client's own, for a TLS connection that broke or never was
    config.ConfigException,  # of a token's file that is being written
)
_PATIENCE = (CONNECT_SECONDS, ANSWER_SECONDS)
_MERGE = "application/strategic-merge-patch+json"
_RIGHTS, _SIGNING_IN = "/apis/authorization.k8s.io/v1", "/apis/authentication.k8s.io/v1"
_OK = 200
_BAD, _FORBIDDEN, _MISSING, _CONFLICT, _GONE, _UNFIT = 400, 403, 404, 409, 410, 422
_EXISTS = "AlreadyExists"
"""The reason beside a 409; a quota that others are changing has the same status and another one."""
_NO_RIGHT = "cannot create resource"
"""So it says that somebody has no right."""

T = TypeVar("T")


class Kind(StrEnum):
    """Of objects that are listed and watched."""

    JOBS = "jobs"
    PODS = "pods"
    EVENTS = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list, with the version from which to watch on."""

    items: list[JsonObject]
    version: str
    rest: str = ""
    """From where to ask for what is not in it; empty where it is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesClient:
    """In one namespace. Coroutines raise `ClusterUnavailable`, and may then be called again."""

    namespace: str
    _api: Any = field(repr=False)  # Any: the official client has no types
    _threads: ThreadPoolExecutor = field(repr=False)
    """Its own: asyncio's are few, and others wait in them for minutes."""
    _long: LongAnswers = field(repr=False)

    @classmethod
    def connect(cls, *, kubeconfig: Path | None, namespace: str) -> KubernetesClient:
        """By a kubeconfig, or as the service account of the pod in which the agent runs.

        Nothing is asked yet. Raises `ClusterUnavailable` where the configuration can't be read.
        """
        settings = Configuration()
        try:
            if kubeconfig is not None:
                config.load_kube_config(  # type: ignore[no-untyped-call]
                    str(kubeconfig), client_configuration=settings
                )
            else:
                config.load_incluster_config(  # type: ignore[no-untyped-call]
                    client_configuration=settings
                )
        except (config.ConfigException, OSError) as error:
            raise ClusterUnavailable(
                "The cluster's configuration can't be read.", detail=str(error)
            ) from None
        settings.connection_pool_maxsize = _KEPT_CONNECTIONS
        settings.retries = False
        threads = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="cluster-call")
        return cls(
            namespace=namespace,
            _api=ApiClient(settings),
            _threads=threads,
            _long=LongAnswers(settings=settings, connect_seconds=CONNECT_SECONDS),
        )

    def within(self, namespace: str) -> KubernetesClient:
        """The same connections, in another namespace."""
        return replace(self, namespace=namespace)

    async def version(self) -> str:
        """What the api server says it is, such as `v1.34.1`."""
        answer = await self._asked("GET", "/version")
        return str(answer.get("gitVersion", ""))

    async def account(self) -> str:
        """As whom the api server knows the agent."""
        answer = await self._reviewed(f"{_SIGNING_IN}/selfsubjectreviews", "SelfSubjectReview", {})
        return str(answer["userInfo"].get("username", ""))

    async def may(self, verb: str, group: str, resource: str, *, name: str = "") -> bool:
        """Whether the agent has a right in its namespace; the resource may be `pods/log`."""
        kind, _, part = resource.partition("/")
        asked = {"namespace": self.namespace, "verb": verb, "group": group, "resource": kind}
        answer = await self._reviewed(
            f"{_RIGHTS}/selfsubjectaccessreviews",
            "SelfSubjectAccessReview",
            {"resourceAttributes": asked | {"subresource": part, "name": name}},
        )
        return bool(answer["allowed"])

    async def list_objects(self, path: str, *, selector: str) -> Sequence[JsonObject]:
        query = {"labelSelector": selector}
        found = await self._in_thread(self._ask, "GET", path, query=query)
        items: Sequence[JsonObject] = found["items"]
        return items

    async def find_object(self, path: str) -> JsonObject | None:
        try:
            return await self._asked("GET", path)
        except Refusal as refusal:
            if refusal.status == _MISSING:
                return None
            raise

    async def create_object(self, path: str, manifest: JsonObject) -> JsonObject | None:
        """As it was stored; None where there is one of its name. Raises `NotAdmitted`,
        `NoQuota`."""
        try:
            return await to_its_end(self._asked("POST", path, body=manifest))
        except Refusal as refusal:
            if refusal.reason == _EXISTS:
                return None
            if refusal.status == _FORBIDDEN and NO_QUOTA in refusal.said:
                raise NoQuota(refusal.said) from None
            is_ours = _NO_RIGHT in refusal.said  # the agent's trouble, and not the attempt's
            if refusal.status in (_BAD, _FORBIDDEN, _UNFIT) and not is_ours:
                raise NotAdmitted(refusal.said) from None
            raise

    async def patch_object(self, path: str, change: JsonObject) -> None:
        """What is not there needs no change."""
        try:
            await self._asked("PATCH", path, body=change, form=_MERGE)
        except Refusal as refusal:
            if refusal.status != _MISSING:
                raise

    async def try_object(self, path: str, manifest: JsonObject) -> Sequence[str]:
        """What the cluster would warn of if it took this; nothing is kept. Raises
        `NotAdmitted`."""
        return await self._in_thread(self._try, path, manifest)

    async def try_job(self, manifest: JsonObject) -> Sequence[str]:
        """What the cluster would warn of if it took this Job; nothing is kept.

        Raises `NotAdmitted`.
        """
        return await self.try_object(self._path(Kind.JOBS), manifest)

    async def find_job(self, name: str) -> JsonObject | None:
        return await self.find_object(self._path(Kind.JOBS, name))

    async def create_job(self, manifest: JsonObject) -> JsonObject | None:
        """The Job as it was stored; None where there is one of this name. Raises `NotAdmitted`,
        `NoQuota`."""
        return await self.create_object(self._path(Kind.JOBS), manifest)

    async def create_secret(self, manifest: JsonObject) -> None:
        """Leaves one that is there as it is. Raises `NotAdmitted`, `NoQuota`."""
        await self.create_object(self._path("secrets"), manifest)

    async def find_secret(self, name: str) -> JsonObject | None:
        """Raises `NotAllowed`."""
        try:
            return await self.find_object(self._path("secrets", name))
        except Refusal as refusal:
            if refusal.status == _FORBIDDEN:
                raise NotAllowed from None
            raise

    async def delete_secret(self, name: str) -> None:
        await self._delete(self._path("secrets", name))

    async def delete_pod(self, name: str, *, grace_seconds: int) -> None:
        await self._delete(self._path(Kind.PODS, name), gracePeriodSeconds=grace_seconds)

    async def label_pod(self, name: str, labels: Mapping[str, str]) -> None:
        """Raises `NotAllowed`, also where admission is what refuses it."""
        try:
            await self.patch_object(
                self._path(Kind.PODS, name), {"metadata": {"labels": dict(labels)}}
            )
        except Refusal as refusal:
            if refusal.status in (_FORBIDDEN, _UNFIT):
                raise NotAllowed from None
            raise

    async def delete_job(self, name: str, *, uid: str | None = None) -> None:
        """With its pods first: it is gone when they are. One with another uid stays."""
        which = {"preconditions": {"uid": uid}} if uid is not None else {}
        try:
            await self._delete(self._path(Kind.JOBS, name), propagationPolicy="Foreground", **which)
        except Refusal as refusal:
            if refusal.status != _CONFLICT:
                raise

    async def annotate_job(self, name: str, annotations: Mapping[str, str]) -> None:
        change = {"metadata": {"annotations": dict(annotations)}}
        await self.patch_object(self._path(Kind.JOBS, name), change)

    async def suspend_job(self, name: str) -> None:
        """Have its pod ended, and no other made."""
        await self.patch_object(self._path(Kind.JOBS, name), {"spec": {"suspend": True}})

    async def release_job(self, name: str, *, finalizer: str) -> None:
        """Take one finalizer away, and leave what others have put there."""
        change = {"metadata": {"$deleteFromPrimitiveList/finalizers": [finalizer]}}
        await self.patch_object(self._path(Kind.JOBS, name), change)

    async def list(self, kind: Kind, selector: str) -> Listing:
        """What there is of one attempt."""
        query = _selecting(kind, selector)
        return await self._in_thread(self._list, kind, query)

    async def list_all(self, kind: Kind, selector: str) -> Listing:
        """What there is of all attempts."""
        return await self._in_thread(self.list_now, kind, selector)

    def list_now(self, kind: Kind, selector: str) -> Listing:
        """Of all attempts, blocking, for threads that watch.

        In pages: thousands of pods in one answer are a hundred megabytes on both sides.
        """
        query = _selecting(kind, selector) | {"limit": str(PAGE)}
        page = self._list(kind, query)
        items = page.items
        while page.rest:
            page = self._list(kind, query | {"continue": page.rest})
            items += page.items
        return Listing(items=items, version=page.version)

    def _list(self, kind: Kind, query: Mapping[str, str]) -> Listing:
        found = self._ask("GET", self._path(kind), query=query)
        about = found["metadata"]
        return Listing(
            items=found["items"],
            version=about["resourceVersion"],
            rest=about.get("continue") or "",
        )

    def watch(self, kind: Kind, selector: str, *, version: str, seconds: int) -> Stream:
        """Changes as JSON lines, until the api server ends it after so many seconds. Blocking.

        Raises `ListExpired` where it can't go on from `version`.
        """
        query = _selecting(kind, selector) | {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        try:
            return self._open(self._path(kind), query, silence=seconds + ANSWER_SECONDS)
        except Refusal as refusal:
            if refusal.status == _GONE:
                raise ListExpired from None
            raise

    @asynccontextmanager
    async def follow_log(
        self, pod: str, container: str, *, since: str | None
    ) -> AsyncIterator[AsyncIterator[bytes] | None]:
        """What a container says, with times, from then on and until it ends.

        It breaks off where the container says nothing for long: so does a connection that is dead.
        None where there is nothing to read: the pod is gone, or the container has not started.
        """
        query = {"container": container, "follow": "true", "timestamps": "true"}
        if since is not None:
            query["sinceTime"] = since
        path = f"{self._path(Kind.PODS, pod)}/log"
        with _answering():  # somebody may be asked for a token
            _, url, headers, *_ = await self._in_thread(self._words, "GET", path, query)
        async with self._long.open(url, headers, silence=QUIET_SECONDS) as answer:
            if answer.status_code in (_BAD, _MISSING):
                yield None
            elif answer.status_code != _OK:
                raise Refusal(answer.status_code, await _whole(answer))
            else:
                yield chunks_of(answer)

    async def read_log(self, pod: str, container: str, *, limit: int) -> bytes | None:
        """The beginning of what an ended container has said; None where nobody knows any more."""
        query = {"container": container, "limitBytes": str(limit)}
        path = f"{self._path(Kind.PODS, pod)}/log"
        try:
            return await self._in_thread(self._read, "GET", path, query=query)
        except Refusal as refusal:
            if refusal.status in (_BAD, _MISSING):
                return None
            raise

    async def _reviewed(self, path: str, kind: str, spec: JsonObject) -> JsonObject:
        """The status of a question that is asked by pretending to create an object."""
        body = {"apiVersion": path.removeprefix("/apis/").rpartition("/")[0], "kind": kind}
        answer = await self._asked("POST", path, body=body | ({"spec": spec} if spec else {}))
        status: JsonObject = answer["status"]
        return status

    def _try(self, path: str, manifest: JsonObject) -> Sequence[str]:
        pretending = {"dryRun": "All", "fieldValidation": "Strict"}
        with _answering():
            words = self._words("POST", path, pretending, body=manifest)
            answer = self._send(words, timeout=_PATIENCE)
            content = answer.read()
        if answer.status >= _BAD:
            refusal = Refusal(answer.status, content)
            if refusal.status in (_BAD, _FORBIDDEN, _UNFIT):
                raise NotAdmitted(refusal.said)
            raise refusal
        said = answer.response.headers.getlist("Warning")  # as RFC 7234: 299 - "text"
        return [each.partition('"')[2].removesuffix('"') for each in said]

    async def _delete(self, path: str, **how: object) -> None:
        """What is not there is deleted."""
        try:
            await self._asked("DELETE", path, body=dict(how))
        except Refusal as refusal:
            if refusal.status != _MISSING:
                raise

    async def _in_thread(self, work: Callable[..., T], *words: object, **named: object) -> T:
        call = partial(work, *words, **named)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def _asked(
        self, method: str, path: str, *, body: JsonObject | None = None, form: str | None = None
    ) -> JsonObject:
        return await self._in_thread(self._ask, method, path, body=body, form=form)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: JsonObject | None = None,
        form: str | None = None,
    ) -> JsonObject:
        with _answering():
            found: JsonObject = orjson.loads(
                self._read(method, path, query=query or {}, body=body, form=form)
            )
        return found

    def _read(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: JsonObject | None = None,
        form: str | None = None,
    ) -> bytes:
        with _answering():
            words = self._words(method, path, query, body=body, form=form)
            answer = self._send(words, timeout=_PATIENCE)
            content: bytes = answer.read()
        if answer.status >= _BAD:
            raise Refusal(answer.status, content)
        return content

    def _open(self, path: str, query: Mapping[str, str], *, silence: float | None) -> Stream:
        with _answering():
            words = self._words("GET", path, query)
            answer = self._send(words, timeout=(CONNECT_SECONDS, silence))
            if answer.status >= _BAD:
                raise Refusal(answer.status, answer.read())
        stream: Stream = answer.response
        return stream

    def _send(
        self, words: tuple[Any, ...], *, timeout: tuple[float | None, float | None]
    ) -> Any:  # Any: `kubernetes.client.rest.RESTResponse`
        return self._api.call_api(*words, _request_timeout=timeout)

    def _words(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        body: JsonObject | None = None,
        form: str | None = None,
    ) -> tuple[Any, ...]:
        """Method, address, headers and what else the official client makes a call of."""
        asked = dict(query)
        if method in ("POST", "PATCH"):
            asked["fieldManager"] = FIELD_MANAGER
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = form or "application/json"
        words: tuple[Any, ...] = self._api.param_serialize(
            method=method,
            resource_path=path,
            query_params=list(asked.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        return words

    def _path(self, kind: str, name: str = "") -> str:
        group = "/apis/batch/v1" if kind == Kind.JOBS else "/api/v1"
        whole = f"{group}/namespaces/{self.namespace}/{kind}"
        return f"{whole}/{name}" if name else whole


async def _whole(answer: httpx.Response) -> bytes:
    return b"".join([chunk async for chunk in chunks_of(answer)])


def _selecting(kind: Kind, selector: str) -> dict[str, str]:
    """Events have no labels of what they are about; those of Jobs say why there is no pod."""
    if kind is Kind.EVENTS:
        return {"fieldSelector": "involvedObject.kind=Job,type=Warning"}
    return {"labelSelector": selector}


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except _SILENT as error:
        raise ClusterUnavailable("The cluster does not answer.", detail=repr(error)) from None
