"""What is believed of a container: its engine's word, its monitor's files, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from animus.adapters.container.engines import Engine, EngineFailed
from animus.adapters.container.inspection import ContainerState
from animus.adapters.container.watching import wait_for_end

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class AbsentDocker:
    is_podman = False

    async def wait(self, _identity: str) -> None:
        raise EngineFailed("The daemon is away.")

    async def find_container(self, _name: str) -> None:
        raise EngineFailed("The daemon is away.")


async def test_an_engine_that_is_away_has_not_told_of_an_end() -> None:
    running = ContainerState({"Id": "c", "Name": "c", "State": {"Status": "running", "Pid": 1}})
    with pytest.raises(EngineFailed):
        await wait_for_end(cast(Engine, AbsentDocker()), running, look=_look_away)


async def _look_away() -> None:
    """Nothing is killed."""


@pytest.mark.parametrize("monitor", ["", "no number", None])
def test_what_the_monitor_did_not_write_down_is_asked_of_the_engine(
    monitor: str | None, tmp_path: Path
) -> None:
    (tmp_path / "pid").write_text("7")
    if monitor is not None:
        (tmp_path / "conmon").write_text(monitor)
    assert _created(tmp_path).running_since(NOON) is None
    assert ContainerState({"Id": "c", "State": {}}).running_since(NOON) is None  # docker's


def test_what_the_monitor_wrote_down_is_what_runs(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("7\n")
    (tmp_path / "conmon").write_text("8")
    started = _created(tmp_path).running_since(NOON)
    assert started is not None
    assert (started.pid, started.monitor_pid, started.started_at) == (7, 8, NOON)
    assert (started.is_running, started.has_started, started.has_ended) == (True, True, False)
    assert started.identity == "c"


def _created(folder: Path) -> ContainerState:
    return ContainerState(
        {
            "Id": "c",
            "State": {"Status": "created", "StartedAt": "0001-01-01T00:00:00Z"},
            "PidFile": str(folder / "pid"),
            "ConmonPidFile": str(folder / "conmon"),
        }
    )
