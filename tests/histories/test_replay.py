"""Recorded lives of workflows against their code of today: what waits for weeks must go on."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from animus.adapters.temporal import DATA_CONVERTER
from animus.contracts.notifications import NOTIFICATIONS_WORKFLOW, NotificationsRef
from animus.contracts.runs import WORKFLOW, RunRef
from animusd.workers import WORKFLOWS, workflow_runner

HERE = Path(__file__).parent
AGES = ("agents-together", "agents-apart")
HISTORIES = sorted(HERE.glob("*/*.json"))
KINDS = {
    "success", "failure", "rejection", "expiry", "cancel", "drift", "operator-cancel",
    "queue",
}  # fmt: skip
TOLD: Mapping[str, list[str]] = {
    "sent": ["sent"], "retried": ["failed", "sent"], "put-off": ["abandoned"],
    "given-up": ["abandoned", "failed", "sent"],
}  # fmt: skip
"""Lives of the workflow that tells people, with the outcomes of sending that are in each."""


@workflow.defn(name=WORKFLOW)
class ForgetfulWorkflow:
    """A change that no waiting run survives: it does nothing of what is in the histories."""

    @workflow.run
    async def run(self, request: RunRef) -> str:
        return "succeeded"


@workflow.defn(name=NOTIFICATIONS_WORKFLOW)
class ForgetfulNotificationsWorkflow:
    """The same of notifications."""

    @workflow.run
    async def run(self, request: NotificationsRef) -> None:
        return


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.stem}"


def test_every_kind_of_end_is_recorded_of_every_age() -> None:
    """And what was first possible in a later age, of that."""
    assert {_name(file) for file in HISTORIES} == {
        *(f"{age}/{kind}" for age in AGES for kind in KINDS), "agents-apart/withdrawal",
        *(f"notifications/{kind}" for kind in TOLD),
    }  # fmt: skip


@pytest.mark.parametrize("kind", TOLD)
def test_what_is_recorded_of_telling_people_is_what_its_name_says(kind: str) -> None:
    """Ids and outcomes, and nothing that a mail says."""
    text = (HERE / "notifications" / f"{kind}.json").read_text()
    said = [orjson.loads(b64decode(data)) for data in _payloads(orjson.loads(text))]
    outcomes = {one["outcome"] for one in said if "outcome" in one}
    assert sorted(outcomes) == TOLD[kind]
    known = {"due", "is_needed", "seconds", "notification_id", "outcome"}
    assert {key for one in said for key in one} <= known


def _payloads(node: Any) -> Iterator[str]:
    """Of an event's inputs and results, wherever they are."""
    if isinstance(node, list):
        for each in node:
            yield from _payloads(each)
    elif isinstance(node, dict):
        if "payloads" in node:
            yield from (one["data"] for one in node["payloads"] if "data" in one)
        for each in node.values():
            yield from _payloads(each)


@pytest.mark.parametrize("file", HISTORIES, ids=_name)
async def test_a_recorded_run_goes_the_same_way_today(file: Path) -> None:
    replayer = Replayer(
        workflows=WORKFLOWS, workflow_runner=workflow_runner(), data_converter=DATA_CONVERTER
    )
    await replayer.replay_workflow(_read(file))


@pytest.mark.parametrize("file", HISTORIES, ids=_name)
async def test_a_change_that_running_runs_do_not_survive_is_noticed(file: Path) -> None:
    replayer = Replayer(
        workflows=[ForgetfulWorkflow, ForgetfulNotificationsWorkflow],
        workflow_runner=workflow_runner(),
        data_converter=DATA_CONVERTER,
    )
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(_read(file))


def _read(file: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(file.stem, file.read_text())
