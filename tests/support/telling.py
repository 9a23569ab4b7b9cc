"""People told by a courier that keeps what it is given, fences included."""

from __future__ import annotations

from importlib.resources import files

import animusd
from animus.couriers import Courier, HandOver, Parcel, Superseded
from animus.domain.notification_templates import file_name, read_template, wanted_templates
from animus.domain.notifications import Channel, Terms
from animus.services import mail_addresses, notifications
from animus.services.notifications import Post
from tests.support.people import Team
from tests.support.platforms import Member, Platform, system_call

TERMS = Terms(remind_at=0.5, escalate_at=0.8)
PUBLIC_URL = "https://animus.test"


class Pigeon(Courier):
    """Takes every letter, and refuses one that it was not let hand over."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []

    async def deliver(self, parcel: Parcel, hand_over: HandOver, /) -> None:
        if not await hand_over():
            raise Superseded
        self.parcels.append(parcel)


def post_with(courier: Courier, terms: Terms = TERMS) -> Post:
    ours = files(animusd).joinpath("templates")
    templates = {
        wanted: read_template(*wanted, ours.joinpath(file_name(*wanted)).read_text())
        for wanted in wanted_templates()
    }
    return Post(
        couriers={Channel.MAIL: courier},
        templates=templates,
        terms=lambda: terms,
        public_url=PUBLIC_URL,
    )


async def give_address(platform: Platform, member: Member) -> str:
    address = f"{member.name}@people.test"
    call = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        await mail_addresses.set_address(uow, call, member.id, address=address)
    return address


async def tell_all(platform: Platform, post: Post) -> None:
    """Everything that is owed now, in turn."""
    while True:
        async with platform.worker.write() as uow:
            agenda = await notifications.take_stock(uow, post.terms(), limit=50)
        if not agenda.due:
            return
        for one in agenda.due:
            await notifications.send(platform.worker, system_call(), post, one)


async def tell_reviewer(platform: Platform, team: Team) -> Parcel:
    """What the team's reviewer is told of the gate that is open."""
    pigeon = Pigeon()
    address = await give_address(platform, team.reviewer)
    await tell_all(platform, post_with(pigeon))
    return next(one for one in pigeon.parcels if one.place == address)


def link_in(parcel: Parcel) -> str:
    """The address of the review's page, below the public address."""
    return next(
        line.strip().removeprefix(PUBLIC_URL)
        for line in parcel.letter.text.splitlines()
        if line.strip().startswith(PUBLIC_URL)
    )
