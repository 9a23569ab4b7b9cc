"""Recorded lives of runs against the workflow code of today: what waits for weeks must go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from animus.adapters.temporal import DATA_CONVERTER
from animus.contracts.runs import WORKFLOW, RunRef
from animusd.workers import WORKFLOWS, workflow_runner

HERE = Path(__file__).parent
AGES = ("agents-together", "agents-apart")
HISTORIES = sorted(HERE.glob("*/*.json"))
KINDS = {
    "success", "failure", "rejection", "expiry", "cancel", "drift", "operator-cancel",
    "queue",
}  # fmt: skip


@workflow.defn(name=WORKFLOW)
class ForgetfulWorkflow:
    """A change that no waiting run survives: it does nothing of what is in the histories."""

    @workflow.run
    async def run(self, request: RunRef) -> str:
        return "succeeded"


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


def test_every_kind_of_end_is_recorded_of_every_age() -> None:
    """And what was first possible in a later age, of that."""
    assert {_name(file) for file in HISTORIES} == {
        *(f"{age}/{kind}" for age in AGES for kind in KINDS), "agents-apart/withdrawal",
    }  # fmt: skip


@pytest.mark.parametrize("file", HISTORIES, ids=_name)
async def test_a_recorded_run_goes_the_same_way_today(file: Path) -> None:
    replayer = Replayer(
        workflows=WORKFLOWS, workflow_runner=workflow_runner(), data_converter=DATA_CONVERTER
    )
    await replayer.replay_workflow(_read(file))


@pytest.mark.parametrize("file", HISTORIES, ids=_name)
async def test_a_change_that_running_runs_do_not_survive_is_noticed(file: Path) -> None:
    replayer = Replayer(
        workflows=[ForgetfulWorkflow],
        workflow_runner=workflow_runner(),
        data_converter=DATA_CONVERTER,
    )
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(_read(file))


def _read(file: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(file.stem, file.read_text())
