"""Logs over real connections: what they sign in with, whom they trust, and how they break off."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import urllib3
from kubernetes.config import ConfigException

from animus.adapters.kubernetes.clients import KubernetesClient
from animus.adapters.kubernetes.errors import ClusterUnavailable, Refusal
from animus.adapters.kubernetes.logs import LogFiles, LogFollower
from animus.adapters.kubernetes.long_answers import CONNECTED_AT_ONCE
from animus.adapters.steps.redaction import Redactor
from deploy.dev_cluster.certificates import Authority, Pair, Subject, load_or_create_authority
from deploy.embedded.accounts import caller
from tests.support.waiting import eventually
from tests.unit.adapters.kubernetes.api_servers import client_of

HOST = "127.0.0.1"
HELLO = b"2026-01-01T12:00:00.000000001Z hello\n"

Answer = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answer, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that gives each request's head to `answer`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(await reader.readuntil(b"\r\n\r\n"), reader, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            """Who had asked is gone."""
        finally:
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0, ssl=tls, backlog=4 * CONNECTED_AT_ONCE)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def chunked(*chunks: bytes, ends: bool = True) -> bytes:
    framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + framed + (b"0\r\n\r\n" if ends else b"")


def refused(status: int) -> bytes:
    said = b'{"kind": "Status", "message": "no", "reason": "Because"}'
    return b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%s" % (status, len(said), said)


def saying(words: bytes, heads: list[bytes] | None = None) -> Answer:
    async def answer(
        head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if heads is not None:
            heads.append(head)
        writer.write(words)

    return answer


async def tunnel(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As a proxy that is asked to CONNECT."""
    host, _, port = head.split()[1].decode().rpartition(":")
    far_reader, far_writer = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
    await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def read(client: KubernetesClient, *, since: str | None = None) -> bytes | None:
    async with client.follow_log("pod", "main", since=since) as chunks:
        return None if chunks is None else b"".join([chunk async for chunk in chunks])


async def test_a_log_is_asked_for_as_the_client_asks_for_all_else(tmp_path: Path) -> None:
    heads: list[bytes] = []
    async with answering(saying(chunked(HELLO, HELLO), heads)) as port:
        client = client_of(f"http://{HOST}:{port}", tmp_path)
        assert await read(client, since="2026-01-01T12:00:00Z") == 2 * HELLO
    (head,) = heads
    path, *fields = head.decode().splitlines()
    assert path == (
        "GET /api/v1/namespaces/runs/pods/pod/log?container=main&follow=true&timestamps=true"
        "&sinceTime=2026-01-01T12%3A00%3A00Z HTTP/1.1"
    )
    told = {field.lower() for field in fields}
    assert {"authorization: bearer t", "accept-encoding: identity"} <= told


@pytest.mark.parametrize("status", [400, 404])
async def test_where_there_is_no_log_there_is_nothing_to_read(status: int, tmp_path: Path) -> None:
    async with answering(saying(refused(status))) as port:
        assert await read(client_of(f"http://{HOST}:{port}", tmp_path)) is None


async def test_a_refusal_says_why(tmp_path: Path) -> None:
    async with answering(saying(refused(403))) as port:
        with pytest.raises(Refusal) as refusal:
            await read(client_of(f"http://{HOST}:{port}", tmp_path))
    assert (refusal.value.status, refusal.value.said, refusal.value.reason) == (
        403, "no", "Because",
    )  # fmt: skip


async def test_a_page_to_sign_in_is_no_log(tmp_path: Path) -> None:
    said = b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 6\r\n\r\n<html>"
    async with answering(saying(said)) as port:
        with pytest.raises(Refusal):
            await read(client_of(f"http://{HOST}:{port}", tmp_path))


@pytest.mark.parametrize(
    "fault",
    [
        urllib3.exceptions.HTTPError("away"),
        ValueError("no JSON"),
        ConfigException("Token file exists but empty."),
    ],
)
async def test_who_gives_tokens_may_be_away_for_a_while(tmp_path: Path, fault: Exception) -> None:
    async with answering(saying(chunked(HELLO))) as port:
        client = client_of(f"http://{HOST}:{port}", tmp_path)
        faults = [fault]

        def refresh(_settings: object) -> None:
            if faults:
                raise faults.pop()

        client._api.configuration.refresh_api_key_hook = refresh
        with pytest.raises(ClusterUnavailable):
            await read(client)
        assert await read(client) == HELLO


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 200 OK\r\n", chunked(HELLO, ends=False)])
async def test_a_connection_that_breaks_off_is_a_cluster_that_does_not_answer(
    words: bytes, tmp_path: Path
) -> None:
    async with answering(saying(words)) as port:
        with pytest.raises(ClusterUnavailable):
            await read(client_of(f"http://{HOST}:{port}", tmp_path))
    with pytest.raises(ClusterUnavailable):
        await read(client_of(f"http://{HOST}:{port}", tmp_path))


async def test_the_proxy_of_the_kubeconfig_is_asked(tmp_path: Path) -> None:
    heads: list[bytes] = []
    async with answering(saying(chunked(HELLO), heads)) as port:
        proxy = {"proxy-url": f"http://{HOST}:{port}"}
        client = client_of("http://cluster.invalid", tmp_path, cluster=proxy)
        assert await read(client) == HELLO
    assert heads[0].startswith(b"GET http://cluster.invalid/api/v1/namespaces/runs/pods/pod/log?")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_behind_a_proxy_too_the_name_is_the_one_of_the_kubeconfig(
    tmp_path: Path, scheme: str
) -> None:
    authority = _authority(tmp_path, "ours")
    server = _serving_as(_issue(authority, tmp_path, "server", serves=("cluster.example",)))
    between = _serving_as(_issue(authority, tmp_path, "proxy", serves=(HOST,)))
    async with (
        answering(saying(chunked(HELLO)), tls=server) as port,
        answering(tunnel, tls=between if scheme == "https" else None) as proxy,
    ):
        told = {
            "proxy-url": f"{scheme}://{HOST}:{proxy}",
            "certificate-authority": str(tmp_path / "ours.crt"),
            "tls-server-name": "cluster.example",
        }
        url = f"https://{HOST}:{port}"
        assert await read(client_of(url, tmp_path, cluster=told)) == HELLO
        told["tls-server-name"] = "another.example"
        with pytest.raises(ClusterUnavailable):
            await read(client_of(url, tmp_path, cluster=told))


async def test_both_sides_of_a_tls_connection_prove_who_they_are(tmp_path: Path) -> None:
    authority = _authority(tmp_path, "ours")
    server = _issue(authority, tmp_path, "server", serves=("cluster.example",))
    client = _issue(authority, tmp_path, "client")
    stranger = _issue(_authority(tmp_path, "theirs"), tmp_path, "stranger")
    tls = _serving_as(server)
    tls.load_verify_locations(tmp_path / "ours.crt")
    tls.verify_mode = ssl.CERT_REQUIRED
    trusts = {
        "certificate-authority": str(tmp_path / "ours.crt"),
        "tls-server-name": "cluster.example",
    }
    async with answering(saying(chunked(HELLO)), tls=tls) as port:
        url = f"https://{HOST}:{port}"

        def connected(pair: Pair, **cluster: str) -> KubernetesClient:
            user = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
            return client_of(url, tmp_path, cluster=cluster, user=user)

        assert await read(connected(client, **trusts)) == HELLO
        for wrong in (
            connected(stranger, **trusts),
            connected(client, **trusts | {"tls-server-name": "another.example"}),
            connected(client, **trusts | {"certificate-authority": str(tmp_path / "theirs.crt")}),
            connected(client),
        ):
            with pytest.raises(ClusterUnavailable, match="does not answer"):
                await read(wrong)
        renewed = connected(stranger, **trusts)
        with pytest.raises(ClusterUnavailable):
            await read(renewed)
        for kind in ("certificate", "key"):
            getattr(stranger, kind).write_bytes(getattr(client, kind).read_bytes())
        assert await read(renewed) == HELLO
        stranger.certificate.unlink()
        with pytest.raises(ClusterUnavailable, match="certificates"):
            await read(renewed)


async def test_many_logs_take_no_threads_and_those_of_the_silent_hold_up_nobody(
    tmp_path: Path,
) -> None:
    """A node begins an answer with the first line."""
    tls = _serving_as(_issue(_authority(tmp_path, "ours"), tmp_path, "server", serves=(HOST,)))
    goes_on = asyncio.Event()

    async def say_or_wait(
        head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if b"/silent-" in head:
            await goes_on.wait()
        writer.write(chunked(HELLO, ends=False))
        await writer.drain()
        await goes_on.wait()
        writer.write(b"0\r\n\r\n")

    async with answering(say_or_wait, tls=tls) as port:
        trusts = {"certificate-authority": str(tmp_path / "ours.crt")}
        client = client_of(f"https://{HOST}:{port}", tmp_path, cluster=trusts)

        def follow(pod: str) -> LogFollower:
            files = LogFiles(directory=tmp_path / pod, limit=2**20)
            return LogFollower(client, files, pod=pod, container="main", redactor=Redactor())

        before = threading.active_count()
        silent = [follow(f"silent-{number}") for number in range(2 * CONNECTED_AT_ONCE)]
        talking = [follow(f"talking-{number}") for number in range(2 * CONNECTED_AT_ONCE)]

        async def all_have_said() -> bool:
            return all(follower.files.head.exists() for follower in talking)

        await eventually(all_have_said, "who says something is heard")
        assert threading.active_count() - before < CONNECTED_AT_ONCE
        goes_on.set()
        both = [*silent, *talking]
        assert all(await asyncio.gather(*(follower.finish(within=120) for follower in both)))
    kept = {follower.files.head.read_bytes() for follower in both}
    assert kept == {b"2026-01-01T12:00:00.000000001Z stdout F hello\n"}


async def test_connections_are_made_in_turns(tmp_path: Path) -> None:
    tls = _serving_as(_issue(_authority(tmp_path, "ours"), tmp_path, "server", serves=(HOST,)))
    now = most = 0

    async def connect_slowly(
        head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        await tunnel(head, reader, writer)

    async with (
        answering(saying(chunked(HELLO)), tls=tls) as port,
        answering(connect_slowly) as proxy,
    ):
        told = {
            "proxy-url": f"http://{HOST}:{proxy}",
            "certificate-authority": str(tmp_path / "ours.crt"),
        }
        client = client_of(f"https://{HOST}:{port}", tmp_path, cluster=told)
        said = await asyncio.gather(*(read(client) for _ in range(3 * CONNECTED_AT_ONCE)))
    assert set(said) == {HELLO}
    assert 1 < most <= CONNECTED_AT_ONCE


async def say_nothing(
    _head: bytes, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter
) -> None:
    await reader.read()


@pytest.mark.parametrize("server", ["cluster", "proxy"])
async def test_who_gives_up_shaking_hands_leaves_no_connection_open(
    server: str, tmp_path: Path
) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        await reader.read()
        left.set()
        writer.close()

    async with await asyncio.start_server(listen, HOST, 0) as listening:
        url = f"https://{HOST}:{listening.sockets[0].getsockname()[1]}"
        client = (
            client_of(url, tmp_path)
            if server == "cluster"
            else client_of("https://cluster.invalid", tmp_path, cluster={"proxy-url": url})
        )
        reading = asyncio.create_task(read(client))
        async with asyncio.timeout(60):
            await asked.wait()
            reading.cancel()
            await asyncio.wait([reading])
            await left.wait()
    assert reading.cancelled()


async def test_a_proxy_that_answers_nobody_holds_up_nobody_for_long(tmp_path: Path) -> None:
    async with answering(say_nothing) as port:
        told = {"proxy-url": f"http://{HOST}:{port}"}
        client = client_of("https://cluster.invalid", tmp_path, cluster=told)
        client._long.connect_seconds = 0.1
        both = (read(client) for _ in range(CONNECTED_AT_ONCE + 1))
        said = await asyncio.gather(*both, return_exceptions=True)
    assert {type(each) for each in said} == {ClusterUnavailable}


def _serving_as(pair: Pair) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def _authority(folder: Path, name: str) -> Authority:
    return load_or_create_authority(name, Pair.at(folder, name), readers=caller())


def _issue(authority: Authority, folder: Path, name: str, *, serves: tuple[str, ...] = ()) -> Pair:
    pair = Pair.at(folder, name)
    authority.issue(Subject(name=name, serves=serves), pair, owner=caller())
    return pair
