"""The queue's control activity: one service, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio import activity

from activities.calls import activity_call
from activities.failures import translated
from animus.contracts.queues import QueueActivities, QueueLook, QueueRef
from animus.services import queues
from animus.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredQueueActivities(QueueActivities):
    database: Database

    @activity.defn(name="queue.admit")
    async def admit(self, request: QueueRef, /) -> QueueLook:
        with translated():
            async with self.database.write() as uow:
                look = await queues.admit_waiting(uow, activity_call())
        return QueueLook(admitted=look.admitted, waiting=look.waiting)
