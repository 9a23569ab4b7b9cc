"""`animusd api`: serves the FastAPI application. Holds no Temporal credential."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from animus.adapters.rules.judge import ProcessRuleJudge
from animus.services.calls import Call
from animus.store.database import Database
from animus.store.new_ids import new_id
from animusd.logs import configure_logs
from animusd.loops import repeat
from animusd.settings import ApiSettings, SettingsUnfit, read_settings
from animusd.wiring import object_store, utc_now
from api.app import create_app
from api.context import Context
from api.limits import RateLimiter

SUMMARY_SECONDS = 60.0
BACKLOG = 1_024
KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep an idle connection: else one closes just as it is used again."""


def serve(settings_file: Path | None) -> None:
    """Serve until told to stop; several processes share one socket where settings say so."""
    settings = read_settings(ApiSettings, settings_file)
    listener = _listen(settings.api.listen)
    ends, lifeline = os.pipe()
    others = [
        multiprocessing.get_context("fork").Process(
            target=_serve_beside, args=(settings, listener, ends, lifeline), daemon=True
        )
        for _ in range(settings.api.workers - 1)
    ]
    for process in others:
        process.start()
    try:
        _serve_on(settings, listener)
    finally:
        for process in others:
            process.terminate()


def _serve_beside(settings: ApiSettings, listener: socket.socket, ends: int, lifeline: int) -> None:
    """Serve as long as the first process lives: after its end the socket must be free."""
    os.close(lifeline)

    def end_with_it() -> None:
        os.read(ends, 1)  # nothing is ever written: it answers when the other end is gone
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_it, daemon=True).start()
    _serve_on(settings, listener)


def _serve_on(settings: ApiSettings, listener: socket.socket) -> None:
    configure_logs("api")
    config = uvicorn.Config(
        build(settings),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=10,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[listener])


def build(settings: ApiSettings) -> FastAPI:
    """The application on its real parts; they start with it and stop with it."""
    context = _context(settings)
    app = create_app(context, registry=CollectorRegistry())
    app.router.lifespan_context = lambda _: _lifespan(app, context)
    return app


def _context(settings: ApiSettings) -> Context:
    database, reader_url = settings.database, settings.database.reader_url
    if reader_url is None:
        raise SettingsUnfit("The settings do not fit: database.reader_url: previews need it.")
    return Context(
        database=Database(database.url.get_secret_value(), pool_size=database.pool_size),
        reader=Database(reader_url.get_secret_value(), pool_size=max(2, database.pool_size // 2)),
        store=object_store(settings.object_store),
        judge=ProcessRuleJudge(),
        now=utc_now,
        limiter=RateLimiter(per_second=settings.api.requests_per_second, burst=settings.api.burst),
        public_url=settings.api.public_url,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI, context: Context) -> AsyncIterator[None]:
    await context.store.prepare()
    await context.store.probe()
    assert isinstance(context.judge, ProcessRuleJudge)
    await context.judge.start()
    summary = asyncio.create_task(repeat("denials", lambda: _summarise(app), every=SUMMARY_SECONDS))
    try:
        yield
    finally:
        summary.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await summary
        await _summarise(app)
        await context.judge.close()
        await context.store.close()
        await context.database.close()
        await context.reader.close()


async def _summarise(app: FastAPI) -> int:
    context: Context = app.state.context
    call = Call(actor=None, request_id=new_id().hex, now=context.now())
    await app.state.unauthenticated.summarise(context.database, call)
    return 0


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), int(port)))
    except OSError as error:
        raise SettingsUnfit(f"Cannot listen on {address}: {error.strerror}.") from None
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return listener
