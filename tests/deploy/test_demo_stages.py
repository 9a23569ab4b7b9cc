"""Which stack the demo takes for which executor, and what it says where that can't be."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.demo import stages
from deploy.demo.stages import STATES, Executor, set_stage
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.errors import StackError
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack


def test_each_executor_has_a_state_of_its_own() -> None:
    assert STATES.keys() == set(Executor)
    assert len(set(STATES.values())) == len(STATES)


@pytest.mark.parametrize("wanted", list(Executor))
def test_one_of_the_two_stacks_is_up_at_a_time(
    wanted: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "STATES", {each: tmp_path / each for each in Executor})
    (other,) = set(Executor) - {wanted}
    config = StackConfig(state=tmp_path / other, ports=free_ports())
    with (
        Stack(config, services=()),
        pytest.raises(StackError, match=f"executor {other}.*make demo-down"),
    ):
        set_stage(wanted, console=Console())


def test_without_a_cluster_it_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "STATES", {each: tmp_path / each for each in Executor})
    monkeypatch.setattr(stages, "CLUSTER_STATE", tmp_path / "cluster")
    with pytest.raises(StackError, match="make cluster-up"):
        set_stage(Executor.KUBERNETES, console=Console())
    assert list(tmp_path.iterdir()) == []
