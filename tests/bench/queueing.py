"""From a place that is freed to the start of the run that waited for it, one run at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg

from deploy.local.accounts import Gateway
from tests.bench.clients import Poster
from tests.bench.figures import milliseconds
from tests.bench.governed import watched_ends
from tests.bench.platform import Platform, development_run

RUNS = 30


async def measure_queueing(platform: Platform) -> dict[str, Any]:
    project_id = _make_limited_project(platform)
    base_url = f"{platform.url}/api/v1/projects/{project_id}"
    async with (
        Poster(base_url, token=platform.accounts.engineer) as client,
        watched_ends(platform) as ends,
    ):
        submitting = (client.post("/runs", development_run()) for _ in range(RUNS))
        for made in await asyncio.gather(*submitting):
            await ends.wait_for(made["id"])
    async with await psycopg.AsyncConnection.connect(platform.database_url) as connection:
        cursor = await connection.execute(_GAPS, [project_id])
        gaps = [float(gap) for (gap,) in await cursor.fetchall()]
    figures = {"runs": RUNS, "p50_ms": milliseconds(gaps, 50), "p99_ms": milliseconds(gaps, 99)}
    return {"freed_to_started": figures}


def _make_limited_project(platform: Platform) -> str:
    gateway = Gateway(platform.url, platform.accounts.admin)
    members = {"engineer": ["editor"]}
    try:
        made = gateway.post(
            "/projects", {"name": "queue", "allows_production": False, "members": members}
        )
        said = {"limits": {"runs": 1}, "revision": 0, "reason": "bench"}
        gateway.post(f"/projects/{made['id']}/quota:set", said)
        return str(made["id"])
    finally:
        gateway.close()


_GAPS = """
SELECT extract(epoch FROM started - freed) FROM (
  SELECT v.created_at AS started, lag(r.ended_at) OVER (ORDER BY v.created_at) AS freed
    FROM runs r JOIN revalidations v ON v.run_id = r.id AND v.outcome = 'same'
   WHERE r.project_id = %s
) turns WHERE freed IS NOT NULL
"""
