"""What the workflow of the queue asks of the control plane. Implemented in `activities.queues`.

There is one queue: a project's quota is for all clusters, so who is next depends on all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from temporalio import activity

QUEUE_WORKFLOW = "animus.queue"
QUEUE_ID = "animus-queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRef:
    """Nothing yet: there is one queue, and everything about it is read from the records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLook:
    admitted: int
    waiting: int


class QueueActivities(Protocol):
    @activity.defn(name="queue.admit")
    async def admit(self, request: QueueRef, /) -> QueueLook: ...
