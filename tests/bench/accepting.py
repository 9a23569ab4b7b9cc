"""Accepting runs through the api, beside MLflow's `runs/create` on the same PostgreSQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import httpx
import psycopg

from deploy.embedded.servers import cache_directory
from tests.bench.figures import rate_and_percentiles, timed
from tests.bench.platform import Platform, development_run

MLFLOW = "mlflow==3.17.2"
PATIENCE = 400.0
"""Seconds: MLflow's first start compiles itself and makes its tables."""
LAST_WORDS = 2_000
DRIVER = "psycopg2-binary==2.9.11"
WARM_UP = 30
TIMES = {1: 300, 16: 800}


async def measure_accepting(platform: Platform) -> dict[str, Any]:
    """What the api does for a submission: the run is durable, and waits to be planned."""
    platform.stop_executing()
    body = development_run()
    async with platform.client() as client:

        async def submit() -> None:
            key = {"Idempotency-Key": uuid4().hex}
            answer = await client.post("/runs", json=body, headers=key)
            answer.raise_for_status()

        await timed(submit, times=WARM_UP, at_once=4)
        return {
            f"in_flight_{at_once}": rate_and_percentiles(
                await timed(submit, times=times, at_once=at_once)
            )
            for at_once, times in TIMES.items()
        }


async def measure_mlflow(platform: Platform) -> dict[str, Any]:
    """The same two loads on MLflow; says why not where it cannot be had."""
    platform.stop_executing()
    try:
        python = _install()
    except (OSError, subprocess.CalledProcessError) as error:
        return {"unavailable": f"MLflow could not be installed: {error}"}
    with _serving(python, platform) as url:
        async with httpx.AsyncClient(base_url=f"{url}/api/2.0/mlflow", timeout=120.0) as client:
            made = await client.post("/experiments/create", json={"name": "bench"})
            experiment = made.raise_for_status().json()["experiment_id"]
            tags = [{"key": "lr", "value": "0.1"}]

            async def create() -> None:
                answer = await client.post(
                    "/runs/create", json={"experiment_id": experiment, "tags": tags}
                )
                answer.raise_for_status()

            await timed(create, times=WARM_UP, at_once=4)
            return {
                f"in_flight_{at_once}": rate_and_percentiles(
                    await timed(create, times=times // 3, at_once=at_once)
                )
                for at_once, times in TIMES.items()
            }


def _install() -> Path:
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
