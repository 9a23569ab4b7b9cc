"""`kill -9` of the worker at each point of sending a mail: it comes once, or, where the server was
never heard, at most once and never again."""

from __future__ import annotations

import pytest

from tests.conftest import RecordCases
from tests.e2e.stoppages import stoppage
from tests.notifications.desks import Desk

pytestmark = pytest.mark.stack

OPENED = "Your decision is asked"


async def test_killed_before_the_mail_was_handed_over_it_is_sent_again_once(
    desk: Desk, record_cases: RecordCases
) -> None:
    with desk.mail.holding("rcpt"):
        run = await desk.submit()
        await desk.mail.reached("rcpt")
        desk.installation.stack.kill("worker")
    await desk.installation.restart()
    await _comes_once(desk, run)
    record_cases("kills while telling", 1)


async def test_killed_at_the_fence_it_is_sent_again_once(
    desk: Desk, record_cases: RecordCases
) -> None:
    async with stoppage(desk.installation.database_url) as held:
        with desk.mail.holding("rcpt"):
            run = await desk.submit()
            await desk.mail.reached("rcpt")
            await held.stop("notification_tries")
        await held.wait_for("notification_tries")
        desk.installation.stack.kill("worker")
    await desk.installation.restart()
    await _comes_once(desk, run)
    record_cases("kills while telling", 1)


async def _comes_once(desk: Desk, run: str) -> None:
    for role in ("reviewer", "second"):
        assert (await desk.settled(run, "gate_opened", role))[0] == "sent"
        assert len(desk.mail.mails(desk.address(role))) == 1
        tries = await desk.tries(run, "gate_opened", role)
        assert tries[-1] == "sent"
        assert set(tries[:-1]) <= {"abandoned"}
    await desk.cancel(run)


@pytest.mark.parametrize("victim", ["worker", "mail server"])
async def test_killed_after_the_last_dot_it_is_not_sent_again_and_said_to_be_unconfirmed(
    desk: Desk, victim: str, record_cases: RecordCases
) -> None:
    with desk.mail.holding("taken"):
        run = await desk.submit()
        await desk.mail.mail(desk.address("reviewer"), OPENED)
        await desk.mail.mail(desk.address("second"), OPENED)
        if victim == "worker":
            desk.installation.stack.kill("worker")
        else:
            desk.mail.kill()
    if victim == "worker":
        await desk.installation.restart()
        for role in ("reviewer", "second"):
            await desk.failed(run, "gate_opened", role, "answer_awaited")
        await pass_answer_time(desk, run)
    else:
        await desk.mail.start()
    for role in ("reviewer", "second"):
        assert await desk.settled(run, "gate_opened", role) == ("unconfirmed", "no_answer")
        assert len(desk.mail.mails(desk.address(role))) == 1
        assert await desk.tries(run, "gate_opened", role) == ["unconfirmed"]
    await desk.cancel(run)
    record_cases("kills while telling", 1)


async def pass_answer_time(desk: Desk, run: str) -> None:
    await desk.installation.query(
        "UPDATE notification_tries SET handed_at = handed_at - interval '12 minutes'"
        " WHERE notification_id IN (SELECT id FROM notifications WHERE run_id = %s)"
        " AND ended_at IS NULL RETURNING 1",
        run,
    )
    await desk.hurry(run)


async def test_answered_and_killed_before_that_was_written_down_it_is_not_sent_again(
    desk: Desk, record_cases: RecordCases
) -> None:
    async with stoppage(desk.installation.database_url) as held:
        with desk.mail.holding("taken"):
            run = await desk.submit()
            await desk.mail.mail(desk.address("reviewer"), OPENED)
            await desk.mail.mail(desk.address("second"), OPENED)
            await held.stop("notification_tries")
        await held.wait_for("notification_tries")
        desk.installation.stack.kill("worker")
    await desk.installation.restart()
    for role in ("reviewer", "second"):
        await desk.failed(run, "gate_opened", role, "answer_awaited")
        assert len(desk.mail.mails(desk.address(role))) == 1
    await pass_answer_time(desk, run)
    for role in ("reviewer", "second"):
        assert (await desk.settled(run, "gate_opened", role))[0] == "unconfirmed"
        assert len(desk.mail.mails(desk.address(role))) == 1
    await desk.cancel(run)
    record_cases("kills while telling", 1)


async def test_a_workflow_that_was_terminated_is_brought_back(desk: Desk) -> None:
    from animus.contracts.notifications import NOTIFICATIONS_ID
    from tests.support.temporal import as_operator

    temporal = await as_operator(desk.installation.stack)
    with desk.mail.holding("rcpt"):
        run = await desk.submit()
        await desk.mail.reached("rcpt")
        await temporal.get_workflow_handle(NOTIFICATIONS_ID).terminate()
    await _comes_once(desk, run)
