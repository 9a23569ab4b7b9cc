"""A step with telemetry: two sockets, a token of its run's, and no other way out."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from animus.domain.work_orders import AttemptResult
from tests.agent.agents import Bench
from tests.agent.conftest import BOTH, Images
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step

pytestmark = BOTH

SCRIPT = """
import json, os, socket
from pathlib import Path
import animus_sdk

Path("note.txt").write_text("from inside")
animus_sdk.upload_artifact("note.txt", kind="file", name="note")
animus_sdk.log_metric("loss", 0.5, step=1)
animus_sdk.log_event("halfway")
assert animus_sdk.flush()

def reaches(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    return True

token = Path(os.environ["ANIMUS_RUN_TOKEN_FILE"])
Path("/animus/out/seen").write_text(json.dumps({
    "variables": sorted(n for n in os.environ if n.startswith("ANIMUS_")),
    "sockets": {n: reaches(f"/animus/sockets/{n}") for n in os.listdir("/animus/sockets")},
    "token_mode": oct(token.stat().st_mode & 0o777),
    "tokens": sorted(os.listdir("/animus/token")),
    "token": token.read_text(),
    "interfaces": [name for _, name in socket.if_nameindex()],
}))
"""

Seen = tuple[Order, AttemptResult, dict[str, Any]]


@pytest.fixture(scope="module")
async def seen(platform: Platform, images: Images, make_module_agent: Any) -> Seen:
    bench: Bench = make_module_agent()
    step = python_step(images.demo, SCRIPT, outputs=["seen"], telemetry=True)
    order = await platform.open_attempt(step)
    result = await bench.result(order)
    assert result.failure is None, (result.failure, await platform.read_log(result))
    (output,) = result.outputs
    found: dict[str, Any] = json.loads(await platform.read_object(output.sha256))
    return order, result, found


async def test_what_a_step_uploads_itself_is_an_artifact_of_its_run(
    platform: Platform, seen: Seen
) -> None:
    order, _, _ = seen
    listed = await platform.client.get("/artifacts", params={"run_id": str(order.run_id)})
    assert listed.status_code == 200, listed.text
    (artifact,) = [each for each in listed.json()["artifacts"] if each["name"] == "note"]
    assert await platform.read_object(artifact["sha256"]) == b"from inside"


async def test_it_is_given_what_it_needs_for_that_and_no_more(seen: Seen) -> None:
    _, _, found = seen
    assert found["variables"] == [
        "ANIMUS_ATTEMPT", "ANIMUS_GATEWAY_URL", "ANIMUS_PROJECT_ID", "ANIMUS_RUN_ID",
        "ANIMUS_RUN_TOKEN_FILE", "ANIMUS_STEP", "ANIMUS_STORE_SOCKET",
    ]  # fmt: skip
    assert found["sockets"] == {"api.sock": True, "store.sock": True}
    assert found["tokens"] == ["run-token"]
    assert found["token_mode"] == "0o400"
    assert found["interfaces"] == ["lo"]


async def test_its_token_opens_nothing_else(platform: Platform, seen: Seen) -> None:
    _, _, found = seen
    async with httpx.AsyncClient(
        base_url=f"{platform.url}/api/v1",
        headers={"Authorization": f"Bearer {found['token']}"},
        trust_env=False,
    ) as step:
        for path in ("/attempt/inputs", "/projects", "/clusters", "/principals"):
            assert (await step.get(path)).status_code in (401, 403), path


async def test_one_without_telemetry_has_no_way_out(
    platform: Platform, bench: Bench, images: Images
) -> None:
    script = "import os; assert not os.path.exists('/animus/sockets'), os.listdir('/animus')"
    result = await bench.result(await platform.open_attempt(python_step(images.demo, script)))
    assert result.failure is None
