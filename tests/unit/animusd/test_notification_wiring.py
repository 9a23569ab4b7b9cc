"""What the settings of notifications name is looked at when the post is opened."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from animusd.notification_examination import examine_post
from animusd.notification_wiring import open_post
from animusd.settings import NotificationsSection, SettingsUnfit


@pytest.mark.parametrize("section", ["smtp", "chat"])
@pytest.mark.parametrize("held", [None, "no certificate"])
async def test_a_ca_file_without_certificates_is_named(
    tmp_path: Path, section: str, held: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if held is not None:
        file.write_text(held)
    parts: dict[str, dict[str, Any]] = {
        "smtp": {"host": "mail.test", "sender": "animus@mail.test"},
        "chat": {"folder": tmp_path},
    }
    told = parts[section] | {"ca_file": file}
    settings = NotificationsSection(public_url="https://animus.test", **{section: told})
    async with AsyncExitStack() as stack:
        with pytest.raises(SettingsUnfit, match=f"notifications.{section}.ca_file"):
            open_post(settings, stack)
    with pytest.raises(SettingsUnfit, match=f"notifications.{section}.ca_file"):
        _ = [one async for one in examine_post(settings)]
