"""Delegations: who decides in whose place, as what, until when."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, StringConstraints

from animus.domain.access import Role
from animus.services.delegations import NewDelegation
from api.schemas.fields import Body, Name, PageLimit, View


class DelegationIn(Body):
    delegate: Name
    """A person who holds the role already."""
    role: Role
    until: AwareDatetime
    """Not later than in 90 days."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]

    def said(self) -> NewDelegation:
        return NewDelegation(
            delegate=self.delegate, role=self.role, until=self.until, reason=self.reason
        )


class DelegationOut(View):
    id: UUID
    role: Role
    delegator: str
    delegate: str
    until: datetime
    reason: str
    created_at: datetime
    revoked_at: datetime | None


class DelegationPage(View):
    delegations: list[DelegationOut]
    next_before: UUID | None
    """Give it as `before` for the next page; null at the end."""


class DelegationQuery(Body):
    """Which delegations; `before` is the `next_before` of the page before."""

    mine: bool = False
    """Only those by you and to you."""
    in_force: bool = True
    """Only those that hold now."""
    before: UUID | None = None
    limit: PageLimit = 100
