"""The activities of notifications: taking stock in one transaction, and one attempt to send."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from activities.calls import activity_call
from activities.failures import translated
from activities.heartbeats import heartbeats
from animus.contracts.notifications import (
    NotificationActivities,
    NotificationsRef,
    NotificationTried,
    SendNotification,
    Stock,
)
from animus.services import notifications
from animus.services.notifications import Post
from animus.store.database import Database

AT_A_TIME = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNotificationActivities(NotificationActivities):
    database: Database
    post: Post | None
    """None where the settings name nobody who could bring a notification."""

    @activity.defn(name="notifications.take_stock")
    async def take_stock(self, request: NotificationsRef, /) -> Stock:
        if self.post is None:
            return Stock()
        with translated():
            async with self.database.write() as uow:
                agenda = await notifications.take_stock(uow, self.post.terms(), limit=AT_A_TIME)
        return Stock(
            due=[str(one) for one in agenda.due],
            is_needed=bool(agenda.due) or agenda.seconds is not None,
            seconds=agenda.seconds or 0.0,
        )

    @activity.defn(name="notifications.send")
    async def send(self, request: SendNotification, /) -> NotificationTried:
        if self.post is None:
            return NotificationTried(outcome="off")
        with translated():
            async with heartbeats():
                outcome = await notifications.send(
                    self.database, activity_call(), self.post, UUID(request.notification_id)
                )
        return NotificationTried(outcome=outcome)
