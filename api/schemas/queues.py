"""Bodies and views of quotas, capacities and the queue."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StrictInt, StringConstraints

from animus.domain.queues import Priority
from animus.domain.quotas import MAX_COUNT, MAX_RESOURCES
from animus.domain.runs import WaitingFor
from api.schemas.fields import Body, View

ResourceName = Annotated[str, StringConstraints(min_length=1, max_length=317)]
Amount = (
    Annotated[StrictInt, Field(ge=0, le=MAX_COUNT)]
    | Annotated[str, StringConstraints(min_length=1, max_length=32)]
)


class SetLimitsIn(Body):
    """All limits, as they are to be; what is absent is unlimited."""

    limits: Annotated[dict[ResourceName, Amount], Field(max_length=MAX_RESOURCES)]
    revision: Annotated[int, Field(ge=0, le=2**31 - 2)]
    """The one you saw: if another is in force by now, nothing is set."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]


class ResourceUseOut(View):
    resource: str
    used: str
    limit: str | None


class LimitsOut(View):
    revision: int
    limits: dict[str, str | int]
    use: list[ResourceUseOut]
    reason: str
    set_by: UUID | None
    set_at: datetime | None


class PlaceOut(View):
    """Where a run stands in the queue, worked out when it was asked."""

    run_id: UUID
    run: str
    reason: WaitingFor
    explanation: str
    position: int
    length: int
    priority: Priority
    enqueued_at: datetime
