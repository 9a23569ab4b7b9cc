"""Who is told of what by mail, once each; and what is told nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.notifications.desks import REASON, SENDER, Desk, Installation

pytestmark = pytest.mark.stack


async def test_who_may_decide_is_told_with_the_review_and_the_requester_is_not(
    desk: Desk,
) -> None:
    run = await desk.submit()
    gate = await desk.gate(run)
    mail = await desk.mail.mail(desk.address("reviewer"), "Your decision is asked")
    assert SENDER in mail["From"]
    assert mail["To"] == desk.address("reviewer")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@mail.test>")
    text = mail.get_content()
    assert f"animus approvals show {gate['id']}" in text
    assert gate["review_digest"] in text
    assert REASON in text
    await desk.mail.mail(desk.address("second"), "Your decision is asked")
    assert desk.mail.mails(desk.address("engineer")) == []
    assert desk.mail.mails(desk.address("owner")) == []
    await desk.cancel(run)


async def test_a_reminder_goes_to_who_has_not_decided_and_an_escalation_to_the_administrators(
    installation: Installation,
) -> None:
    installation.mail.accept_all()
    desk = await installation.desk(deadline="60s", quorum=2)
    run = await desk.submit()
    gate = await desk.gate(run)
    await desk.mail.mail(desk.address("reviewer"), "Your decision is asked")
    await desk.mail.mail(desk.address("second"), "Your decision is asked")
    await desk.decide(gate, "approve", by="reviewer")
    await desk.mail.mail(desk.address("second"), "Reminder")
    await desk.mail.mail(desk.address("owner"), "expires in")
    assert len(desk.mail.mails(desk.address("reviewer"))) == 1
    closed = await desk.mail.mail(desk.address("engineer"), "expired")
    assert "I looked at it" in closed.get_content()
    assert len(desk.mail.mails(desk.address("second"))) == 2
    assert len(desk.mail.mails(desk.address("owner"))) == 1


async def test_the_requester_is_told_how_the_gate_was_closed(desk: Desk) -> None:
    run = await desk.submit()
    await desk.decide(await desk.gate(run), "reject")
    mail = await desk.mail.mail(desk.address("engineer"), "rejected")
    assert desk.people["reviewer"].name in mail.get_content()


async def test_nobody_is_told_who_lost_the_role_or_decided_or_whose_gate_is_closed(
    desk: Desk,
) -> None:
    desk.mail.kill()
    try:
        run = await desk.submit()
        gate = await desk.gate(run)
        for role in ("reviewer", "second"):
            await desk.failed(run, "gate_opened", role, "smtp_unreachable")
        admin = desk.installation.admin
        bindings = await admin.get(f"{desk.path}/role-bindings")
        (binding,) = [
            one["id"] for one in bindings if one["principal_id"] == desk.people["second"].id
        ]
        await admin.post(f"{desk.path}/role-bindings/{binding}:revoke")
        await desk.decide(gate, "reject")
    finally:
        await desk.mail.start()
    await desk.hurry(run)
    assert await desk.settled(run, "gate_opened", "reviewer") == ("dropped", "gate_closed")
    assert await desk.settled(run, "gate_opened", "second") == ("dropped", "no_role")
    assert desk.mail.mails(desk.address("reviewer")) == []


async def test_a_server_that_is_away_or_refuses_for_now_delays_and_doubles_nothing(
    desk: Desk,
) -> None:
    desk.mail.refuse("rcpt", "452 4.2.2 Mailbox full", once=True)
    desk.mail.refuse("end", "451 4.3.0 Try later", once=True)
    run = await desk.submit()
    both = ("reviewer", "second")
    for role in both:
        assert (await desk.settled(run, "gate_opened", role))[0] == "sent"
    tries = [one for role in both for one in await desk.tries(run, "gate_opened", role)]
    assert sorted(map(str, tries)) == ["failed", "failed", "sent", "sent"]
    for role in ("reviewer", "second"):
        assert len(desk.mail.mails(desk.address(role))) == 1
    await desk.cancel(run)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("550 5.1.1 No such user", "refused"),
        ("550 5.7.1 Relaying denied", "failed"),
        ("554 5.7.0 Policy", "failed"),
    ],
)
async def test_a_mailbox_that_is_not_there_is_given_up_and_a_refusal_of_us_is_not(
    desk: Desk, reply: str, outcome: str
) -> None:
    desk.mail.refuse("rcpt", reply)
    run = await desk.submit()
    if outcome == "refused":
        assert (await desk.settled(run, "gate_opened", "reviewer"))[0] == "refused"
        assert await desk.tries(run, "gate_opened", "reviewer") == ["refused"]
    else:
        code = "smtp_recipient_refused_" + "_".join(reply.split()[:2])
        await desk.failed(run, "gate_opened", "reviewer", code)
        desk.mail.accept_all()
        await desk.hurry(run)
        assert (await desk.settled(run, "gate_opened", "reviewer"))[0] == "sent"
    await desk.cancel(run)


async def test_who_may_decide_in_anothers_place_is_told_and_that_it_was_taken_back(
    desk: Desk,
) -> None:
    """Of no run: nothing else happens that would have somebody look."""
    path, until = f"{desk.path}/delegations", datetime.now(UTC) + timedelta(days=1)
    made = await desk.people["reviewer"].caller.post(
        path,
        {
            "delegate": desk.people["second"].name, "role": "reviewer",
            "until": until.isoformat(), "reason": REASON,
        },
    )  # fmt: skip
    mail = await desk.mail.mail(desk.address("second"), "decide in their place")
    assert REASON in mail.get_content()
    await desk.people["reviewer"].caller.post(f"{path}/{made['id']}:revoke")
    await desk.mail.mail(desk.address("second"), "You no longer decide")
    assert desk.mail.mails(desk.address("reviewer")) == []
