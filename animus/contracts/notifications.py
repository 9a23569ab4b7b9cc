"""What the workflow of notifications asks of the control plane. Implemented in
`activities.notifications`. Ids only: no address, no text and no link is ever in a history.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from temporalio import activity

NOTIFICATIONS_WORKFLOW = "animus.notifications"
NOTIFICATIONS_ID = "animus-notifications"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationsRef:
    """Nothing yet: there is one workflow, and everything is read from the records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """What is to be sent now, and for how long there is nothing else to do."""

    due: list[str] = field(default_factory=list)
    is_needed: bool = False
    """Something is owed, or a gate is open of which somebody may have to be reminded."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SendNotification:
    notification_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationTried:
    outcome: str


class NotificationActivities(Protocol):
    @activity.defn(name="notifications.take_stock")
    async def take_stock(self, request: NotificationsRef, /) -> Stock: ...

    @activity.defn(name="notifications.send")
    async def send(self, request: SendNotification, /) -> NotificationTried: ...
