"""`python -m tests.histories.record_notifications`: lives of the workflow that tells people.

There is one for the whole installation; it ends when nobody is owed anything and no gate is open,
so each story here is one execution. As with runs, a patch of it begins a folder of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import orjson

from animus.contracts.notifications import NOTIFICATIONS_ID
from tests.notifications.desks import Desk, Installation, running_installation
from tests.notifications.test_kills import pass_answer_time
from tests.support.temporal import as_operator
from tests.support.waiting import eventually

HISTORIES = Path(__file__).parent / "notifications"
BOTH = ("reviewer", "second")

Story = Callable[[Desk], Coroutine[Any, Any, None]]


async def sent(desk: Desk) -> None:
    run = await desk.submit()
    await _settle(desk, run, "sent")
    await desk.cancel(run)


async def retried(desk: Desk) -> None:
    desk.mail.refuse("rcpt", "451 4.7.1 Greylisted")
    run = await desk.submit()
    for role in BOTH:
        await desk.failed(run, "gate_opened", role, "smtp_recipient_refused_451_4.7.1")
    desk.mail.accept_all()
    await _settle(desk, run, "sent")
    await desk.cancel(run)


async def put_off(desk: Desk) -> None:
    """Killed after handing over: nothing is sent until the answer's time has passed."""
    with desk.mail.holding("taken"):
        run = await desk.submit()
        for role in BOTH:
            await desk.mail.mail(desk.address(role), "Your decision is asked")
        desk.installation.stack.kill("worker")
    await desk.installation.restart()
    for role in BOTH:
        await desk.failed(run, "gate_opened", role, "answer_awaited")
    await pass_answer_time(desk, run)
    await _settle(desk, run, "unconfirmed")
    await desk.cancel(run)


async def given_up(desk: Desk) -> None:
    """The mail server is away for as long as the gate is open."""
    desk.mail.kill()
    try:
        run = await desk.submit()
        await _settle(desk, run, "dropped")
    finally:
        await desk.mail.start()
    assert (await desk.settled(run, "gate_closed", "engineer"))[0] == "sent"


STORIES: Mapping[str, Story] = {
    "sent": sent, "retried": retried, "put-off": put_off, "given-up": given_up,
}  # fmt: skip


async def record() -> None:
    HISTORIES.mkdir(exist_ok=True)
    async with running_installation() as installation:
        for name, story in STORIES.items():
            installation.mail.accept_all()
            deadline = "60s" if story is given_up else "1h"
            desk = await installation.desk(deadline=deadline)
            await _keep(installation, name, story, desk)


async def _keep(installation: Installation, name: str, story: Story, desk: Desk) -> None:
    temporal = await as_operator(installation.stack)
    living = asyncio.create_task(story(desk))
    workflow_run = await _begun(installation, desk)
    await living
    handle = temporal.get_workflow_handle(NOTIFICATIONS_ID, run_id=workflow_run)
    await handle.result()
    said = orjson.loads((await handle.fetch_history()).to_json())
    kept = orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    (HISTORIES / f"{name}.json").write_bytes(kept + b"\n")
    await eventually(lambda: _is_over(installation), "nobody is owed anything")


async def _begun(installation: Installation, desk: Desk) -> str:
    """The execution in which somebody of this project is told: it lives while the gate is open."""
    temporal = await as_operator(installation.stack)
    handle = temporal.get_workflow_handle(NOTIFICATIONS_ID)

    async def look() -> str | None:
        rows = await installation.query(
            "SELECT 1 FROM notifications n JOIN projects p ON p.id = n.project_id"
            " WHERE p.name = %s",
            desk.name,
        )
        return (await handle.describe()).run_id if rows else None

    return str(await eventually(look, "somebody is to be told"))


async def _is_over(installation: Installation) -> bool:
    temporal = await as_operator(installation.stack)
    described = await temporal.get_workflow_handle(NOTIFICATIONS_ID).describe()
    return described.close_time is not None


async def _settle(desk: Desk, run: str, outcome: str) -> None:
    for role in BOTH:
        assert (await desk.settled(run, "gate_opened", role))[0] == outcome


if __name__ == "__main__":
    asyncio.run(record())
