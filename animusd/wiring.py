"""The composition root: which adapter stands behind which port, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from activities.runs import StoredRunActivities
from animus.adapters.object_store import S3ObjectStore
from animus.adapters.s3.settings import S3Settings
from animusd.settings import ObjectStoreSection
from workflows.runs import RunWorkflow

WORKFLOWS: Sequence[type] = (RunWorkflow,)


def utc_now() -> datetime:
    return datetime.now(UTC)


def object_store(section: ObjectStoreSection) -> S3ObjectStore:
    upload_secret = section.upload_secret_key
    return S3ObjectStore(
        S3Settings(
            endpoint=section.endpoint,
            public_endpoint=section.public_endpoint,
            access_key=section.access_key,
            secret_key=section.secret_key.get_secret_value(),
            region=section.region,
            bucket_prefix=section.bucket_prefix,
            upload_access_key=section.upload_access_key,
            upload_secret_key=upload_secret.get_secret_value() if upload_secret else None,
        )
    )


def control_activities(activities: StoredRunActivities) -> Sequence[Callable[..., Any]]:
    return (
        activities.plan,
        activities.settle_gates,
        activities.revalidate,
        activities.read_control,
        activities.open_attempt,
        activities.close_attempt,
        activities.report_incident,
        activities.finalise,
    )
