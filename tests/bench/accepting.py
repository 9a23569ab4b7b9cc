"""Accepting runs through the api, in turns with MLflow's `runs/create` on the same PostgreSQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import httpx
import psycopg

from deploy.embedded.servers import cache_directory
from tests.bench.clients import Poster
from tests.bench.figures import Work, figures_by_work, timed_in_turn
from tests.bench.platform import Platform, development_run

MLFLOW = "mlflow==3.17.2"
PATIENCE = 400.0
"""Seconds: MLflow's first start compiles itself and makes its tables."""
LAST_WORDS = 2_000
DRIVER = "psycopg2-binary==2.9.11"
MLFLOW_FIGURES = "mlflow_runs_create"
WARM_UP = 40
TIMES = {1: 120, 16: 720}
ROUNDS = 3


async def measure_accepting(platform: Platform) -> dict[str, Any]:
    """What the api does for a submission: the run is durable, and waits to be planned.

    In turns with MLflow; alone, with the reason, where MLflow cannot be had.
    """
    platform.stop_executing()
    async with AsyncExitStack() as stack:
        works = {"accept_run": await stack.enter_async_context(_animus(platform))}
        missing: dict[str, Any] = {}
        try:
            python = install_mlflow()
        except (OSError, subprocess.CalledProcessError) as error:
            missing = {MLFLOW_FIGURES: {"unavailable": f"MLflow could not be installed: {error}"}}
        else:
            works[MLFLOW_FIGURES] = await stack.enter_async_context(_mlflow(python, platform))
        await timed_in_turn(works, times=WARM_UP, at_once=4, rounds=1)
        loads = {
            at_once: await timed_in_turn(works, times=times, at_once=at_once, rounds=ROUNDS)
            for at_once, times in TIMES.items()
        }
    return figures_by_work(works, loads) | missing


@asynccontextmanager
async def _animus(platform: Platform) -> AsyncIterator[Work]:
    body = development_run()
    async with platform.client() as client:

        async def submit() -> None:
            await client.post("/runs", body, headers={"Idempotency-Key": uuid4().hex})

        yield submit


@asynccontextmanager
async def _mlflow(python: Path, platform: Platform) -> AsyncIterator[Work]:
    with _serving(python, platform) as url:
        async with Poster(f"{url}/api/2.0/mlflow") as client:
            made = await client.post("/experiments/create", {"name": "bench"})
            body = {
                "experiment_id": made["experiment_id"],
                "tags": [{"key": "lr", "value": "0.1"}],
            }

            async def create() -> None:
                await client.post("/runs/create", body)

            yield create


def install_mlflow() -> Path:
    """MLflow in an environment of its own, kept in the cache."""
    home = cache_directory() / "bench" / MLFLOW
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", MLFLOW, DRIVER], check=True)
        (home / "complete").touch()
    return python


@contextmanager
def _serving(python: Path, platform: Platform) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with psycopg.connect(platform.database_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE mlflow")
    server_url = platform.database_url.replace("postgresql://", "postgresql+psycopg2://", 1)
    store = server_url.rpartition("/")[0] + "/mlflow"
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            [python, "-m", "mlflow", "server", "--port", str(port), "--host", "127.0.0.1"],
            stdout=log,
            stderr=log,
            env={**os.environ, "MLFLOW_BACKEND_STORE_URI": store},
            start_new_session=True,
        )
        try:
            _await(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            with suppress(ProcessLookupError):  # it ended by itself
                os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def _await(url: str, server: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    give_up = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < give_up:
        with suppress(httpx.TransportError):
            if httpx.get(url, timeout=2).is_success:
                return
        time.sleep(0.3)
    log.seek(max(0, log.seek(0, os.SEEK_END) - LAST_WORDS))
    sys.exit(f"{url} does not answer. MLflow said: {log.read().decode(errors='replace')}")
