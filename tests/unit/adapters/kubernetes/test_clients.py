"""What the official client makes of an api server's answers, and of none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from animus.adapters.kubernetes.clients import ClusterUnavailable
from tests.unit.adapters.kubernetes.api_servers import client_of


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
