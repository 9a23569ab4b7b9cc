"""What the official client makes of an api server's answers, and of none."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

from animus.adapters.kubernetes.clients import Kind
from animus.adapters.kubernetes.errors import (
    ClusterUnavailable,
    NoQuota,
    NotAdmitted,
)
from tests.unit.adapters.kubernetes.api_servers import Asked, Said, client_of, refusal, serving


@pytest.fixture
def hanging_up() -> Iterator[str]:
    """A balancer with nobody behind it: takes connections, and ends them in the TLS handshake."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65_536)

        thread = threading.Thread(target=hang_up)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


async def test_a_tls_connection_that_breaks_off_is_a_cluster_that_does_not_answer(
    hanging_up: str, tmp_path: Path
) -> None:
    with pytest.raises(ClusterUnavailable):
        await client_of(hanging_up, tmp_path).find_job("any")


async def test_only_an_object_that_is_there_counts_as_there(tmp_path: Path) -> None:
    """A quota that many are changing at once refuses with the same status."""
    taken = refusal(409, "AlreadyExists", 'secrets "x" already exists')
    changing = refusal(409, "Conflict", 'Operation cannot be fulfilled on resourcequotas "runs"')
    with serving(lambda asked: taken) as server:
        await client_of(server.url, tmp_path).create_secret({})
    with serving(lambda asked: changing) as server, pytest.raises(ClusterUnavailable):
        await client_of(server.url, tmp_path).create_secret({})


async def test_a_quota_without_room_is_told_from_a_refusal_for_good(tmp_path: Path) -> None:
    said = 'jobs.batch "x" is forbidden: exceeded quota: runs, requested: count/jobs.batch=1'
    full = refusal(403, "Forbidden", said)
    denied = refusal(403, "Forbidden", 'jobs.batch "x" is forbidden: violates a policy')
    with serving(lambda asked: full) as server, pytest.raises(NoQuota):
        await client_of(server.url, tmp_path).create_job({})
    with serving(lambda asked: denied) as server, pytest.raises(NotAdmitted):
        await client_of(server.url, tmp_path).create_job({})


async def test_an_agent_without_the_right_is_no_reason_to_end_an_attempt(tmp_path: Path) -> None:
    """Whoever gave it its role can mend that."""
    said = (
        'jobs.batch is forbidden: User "agent" cannot create resource "jobs" in API group "batch"'
    )
    denied = refusal(403, "Forbidden", said)
    with serving(lambda asked: denied) as server, pytest.raises(ClusterUnavailable):
        await client_of(server.url, tmp_path).create_job({})


async def test_who_is_told_to_go_while_an_object_is_made_waits_until_it_is(tmp_path: Path) -> None:
    """Else it would be there after everything was removed."""
    is_asked, may_answer = threading.Event(), threading.Event()

    def answer(_: Asked) -> Said:
        is_asked.set()
        may_answer.wait()
        return Said()

    with serving(answer) as server:
        making = asyncio.create_task(client_of(server.url, tmp_path).create_job({}))
        await asyncio.to_thread(is_asked.wait)
        making.cancel()
        done, _ = await asyncio.wait([making], timeout=0.2)
        assert not done
        may_answer.set()
        with pytest.raises(asyncio.CancelledError):
            await making


async def test_a_list_of_all_attempts_is_read_page_by_page(tmp_path: Path) -> None:
    """And as of the version that the last page names: a watch goes on from there."""

    def answer(asked: Asked) -> Said:
        is_last = "continue=more" in asked.path
        about = (
            {"resourceVersion": "8"} if is_last else {"resourceVersion": "7", "continue": "more"}
        )
        return Said(body=orjson.dumps({"items": [{"n": int(is_last)}], "metadata": about}))

    with serving(answer) as server:
        found = await client_of(server.url, tmp_path).list_all(Kind.JOBS, "a=b")
    assert [item["n"] for item in found.items] == [0, 1]
    assert found.version == "8"
    assert all("labelSelector=a%3Db" in asked.path for asked in server.asked)
