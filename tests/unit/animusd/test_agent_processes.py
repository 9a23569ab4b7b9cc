"""What an agent's process does beside its worker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from animusd.agent_process import until_one_ends
from animusd.settings import AgentSettings, SettingsUnfit, read_settings


def test_an_agent_works_in_its_clusters_temporal_namespace_and_no_other(tmp_path: Path) -> None:
    settings = tmp_path / "agent.toml"
    settings.write_text(
        '[temporal]\naddress = "127.0.0.1:1"\nnamespace = "animus"\n'
        '[agent]\ncluster = "north"\napi_url = "http://127.0.0.1:1"\ntoken_file = "t"\n'
        'key_file = "k"\nwork_order_public_key_file = "w"\nstate_dir = "s"\n'
    )
    with pytest.raises(SettingsUnfit, match="ends in -north"):
        read_settings(AgentSettings, settings)


async def test_an_agent_does_not_go_on_without_its_chores() -> None:
    is_cleaned = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            is_cleaned.set()

    async def die() -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        await until_one_ends(work(), die())
    assert is_cleaned.is_set()
