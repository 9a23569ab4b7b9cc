"""The control plane's own calls: made by no person, found again by the activity that made them."""

from __future__ import annotations

from datetime import UTC, datetime

from temporalio import activity

from animus.services.calls import Call


def activity_call() -> Call:
    info = activity.info()
    return Call(
        actor=None,
        request_id=f"{info.workflow_id}/{info.activity_id}",
        now=datetime.now(UTC),
    )
