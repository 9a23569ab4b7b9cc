"""Environments for tests: the demo's image, locked, with a placement or without."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from animus.domain.canonical import JsonObject
from tests.agent.conftest import Images
from tests.agent.platforms import Order, Platform


async def open_in_environment(
    platform: Platform, images: Images, step: JsonObject, *, placement: JsonObject | None
) -> Order:
    """An attempt of the step in an environment of its own."""
    repository, _, digest = images.demo.partition("@")
    asked = {"placement": placement} if placement is not None else {}
    named = {"name": f"e-{uuid4().hex}", "images": [{"name": "demo", "repository": repository}]}
    environment = await _post(platform, "/environments", {"environment": named | asked})
    image = {
        "name": "demo", "repository": repository, "platform": "linux/amd64",
        "manifest_digest": digest,
    }  # fmt: skip
    path = f"/environments/{environment['id']}/locks"
    locked = await _post(platform, path, {"lock": {"images": [image], **asked}})
    return await platform.open_attempt(step, environment_lock={"id": locked["id"]})


async def _post(platform: Platform, path: str, body: JsonObject) -> dict[str, Any]:
    answer = await platform.client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    said: dict[str, Any] = answer.json()
    return said
