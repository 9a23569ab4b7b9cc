"""What the executor does before there is anything of an attempt in its cluster."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from animus.adapters.kubernetes.executor import KubernetesExecutor
from animus.adapters.kubernetes.watching import Watcher
from animus.adapters.steps.failures import environment_failure
from animus.agent.journals import Journals
from animus.agent.live_logs import ChunkSink, LiveLogs
from tests.unit.adapters.kubernetes.api_servers import Asked, Said, client_of, refusal, serving
from tests.unit.adapters.kubernetes.tasks import SITE, make_task

MISSING = environment_failure("secret_missing", "There is none.")


class Unasked:
    """A watch: there is nothing yet to be watched for."""

    def forget(self, job: str) -> None:
        """It knows none."""


def nothing(asked: Asked) -> Said:
    if asked.path.partition("?")[0].endswith("/pods"):
        return Said(body=b'{"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": []}')
    return refusal(404, "NotFound", "not found")


async def test_nothing_is_made_for_a_step_whose_secrets_can_not_be_had(tmp_path: Path) -> None:
    task = make_task(secrets=[{"name": "password", "secretRef": "password"}])
    with serving(nothing) as server:
        client = client_of(server.url, tmp_path)
        executor = KubernetesExecutor(
            client=client,
            site=SITE,
            watcher=cast(Watcher, Unasked()),
            journals=Journals(directory=tmp_path / "attempts"),
            keep_log=lambda *_: never(),
            live=LiveLogs(cast(ChunkSink, None)),
            engine="kubernetes",
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )
        end = await executor.run(replace(task, secrets_failure=MISSING), watch=lambda _: None)
    assert end.failure == MISSING
    assert end.started_at is None
    assert not [asked for asked in server.asked if asked.method == "POST"]


async def never() -> bool:
    raise AssertionError("there is no log")
