"""Where persons get their mail. Set by administrators of the platform: a mail shows reviews."""

from __future__ import annotations

from dataclasses import dataclass

from animus.domain.access import PrincipalKind
from animus.domain.errors import Invalid
from animus.domain.ids import PrincipalId
from animus.domain.notifications import check_address
from animus.services.calls import Call, record
from animus.services.principals import get_principal
from animus.store import notifications
from animus.store.database import ReadSession, UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAddressView:
    person_id: PrincipalId
    name: str
    address: str | None


async def get_address(session: ReadSession, person_id: PrincipalId) -> MailAddressView:
    person = await get_principal(session, person_id)
    address = await notifications.find_address(session, person_id)
    return MailAddressView(person_id=person.id, name=person.name, address=address)


async def set_address(
    uow: UnitOfWork, call: Call, person_id: PrincipalId, *, address: str | None
) -> MailAddressView:
    """None deletes it: that person gets no mail any more. The log, which keeps what it is told for
    ever, is told who did so, and not the address."""
    person = await get_principal(uow, person_id)
    if person.kind is not PrincipalKind.PERSON:
        raise Invalid("Only persons get mail. Who answers for this account is told.")
    if address is not None:
        check_address(address)
    await notifications.set_address(uow, person_id, address, by=call.by.principal_id, at=call.now)
    record(
        uow, call, "principal.address_set",
        subjects={"principal": person_id}, payload={"is_set": address is not None},
    )  # fmt: skip
    return MailAddressView(person_id=person.id, name=person.name, address=address)
