"""What operators and callers see of a run wherever it stands: query, search, row, summary."""

from __future__ import annotations

import pytest

from animus.contracts.runs import EXPLAIN, Explanation
from tests.support.waiting import eventually
from tests.workflows.platforms import Platform
from tests.workflows.projects import Project
from tests.workflows.records import check_records, check_waiting, expect_end, read_records
from tests.workflows.scenes import SCENES, Scene

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_a_run_says_where_it_stands(platform: Platform, scene: Scene) -> None:
    held = await scene.arrange(platform)
    project, run = held.project, held.run
    seen = await project.look(run)
    check_waiting(seen)
    assert (seen["state"], seen["waiting_for"]) == (scene.state, scene.waiting_for)
    if not scene.completed:
        check_records(await read_records(project, run))
    said: Explanation = await project.workflow(run).query(EXPLAIN, result_type=Explanation)
    assert (said.state, said.next) == (scene.state, scene.next)
    await _expect_listed(project, run, scene.state)
    held.let_go()
    await held.finish()
    end, code = ("succeeded", None) if held.can_succeed else ("canceled", "canceled")
    await expect_end(project, run, end, code=code)


async def test_a_run_that_has_ended_waits_for_nothing(project: Project) -> None:
    run = await project.submit()
    await expect_end(project, run, "succeeded")
    said: Explanation = await project.workflow(run).query(EXPLAIN, result_type=Explanation)
    assert (said.state, said.waiting_for) == ("succeeded", "nothing")
    assert said.steps == {"train": "succeeded"}
    await _expect_listed(project, run, "succeeded")


async def _expect_listed(project: Project, run: str, state: str) -> None:
    """Operators find the run by project and state."""
    query = (
        f"WorkflowType = 'animus.run' AND AnimusProject = '{project.name}' "
        f"AND AnimusState = '{state}' AND AnimusClassification = 'development'"
    )

    async def listed() -> list[str]:
        return [found.id async for found in project.platform.temporal.list_workflows(query)]

    await eventually(listed, f"{run} is found as {state}")
    assert await listed() == [run]
