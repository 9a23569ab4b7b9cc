"""`animusd migrate`: schema, grants and triggers; on a new platform the bootstrap token."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from animus.services import principals, telemetry
from animus.services.calls import Call
from animus.store.database import Database
from animus.store.migrate import migrate
from animus.store.new_ids import new_id
from animusd.logs import configure_logs
from animusd.settings import MigrateSettings, read_settings
from animusd.wiring import utc_now

_HINT = "There is no platform administrator yet. Sign in once, within 7 days, with"


def migrate_database(settings_file: Path | None) -> None:
    configure_logs("migrate")
    settings = read_settings(MigrateSettings, settings_file)
    url = settings.database.url.get_secret_value()
    passwords = {
        role: password.get_secret_value()
        for role, password in settings.migrate.role_passwords.items()
    }
    migrate(url.replace("postgresql://", "postgresql+psycopg://", 1), role_passwords=passwords)
    token = asyncio.run(_prepare(url))
    if token is not None:
        _hand_over(token, settings.migrate.bootstrap_token_file)


def _hand_over(token: str, file: Path | None) -> None:
    """To a file that only its owner reads, or to the terminal of who runs this by hand."""
    if file is None:
        sys.stdout.write(f"{_HINT}\n  animus login --bootstrap {token}\n")
        return
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as sink:
        sink.write(token)
    sys.stdout.write(f"{_HINT}\n  animus login --bootstrap-file {file}\n")


async def _prepare(url: str) -> str | None:
    database = Database(url, pool_size=2)
    now = utc_now()
    call = Call(actor=None, request_id=new_id().hex, now=now)
    try:
        async with database.write() as uow:
            await telemetry.prepare_partitions(uow, today=now.date())
            return await principals.prepare_bootstrap(uow, call)
    finally:
        await database.close()
