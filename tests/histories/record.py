"""`python -m tests.histories.record`: lives the stories on a real stack and keeps their histories.

Every folder here is an age of the workflow code, named by the patch that began it. A new patch
gets a new folder; those of before stay, until no installation has a run of their time.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson

from tests.workflows.platforms import Platform, running_platform
from tests.workflows.projects import Project
from tests.workflows.records import check_workflow_closed, expect_end
from tests.workflows.stories import STORIES, Story

AGE = "agents-apart"
HISTORIES = Path(__file__).parent / AGE


async def record() -> None:
    HISTORIES.mkdir(exist_ok=True)
    async with running_platform() as platform:
        for story in STORIES:
            await _keep(platform, story)


async def _keep(platform: Platform, story: Story) -> None:
    project = await story.project(platform)
    run = await story.live(project)
    await expect_end(project, run, story.ends_as, code=story.code)
    await check_workflow_closed(project, run, story.ends_as)
    said = orjson.loads(await _history(project, run))
    kept = orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    (HISTORIES / f"{story.name}.json").write_bytes(kept + b"\n")


async def _history(project: Project, run: str) -> str:
    return (await project.workflow(run).fetch_history()).to_json()


if __name__ == "__main__":
    asyncio.run(record())
