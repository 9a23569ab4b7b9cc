"""The review of a gate as it was frozen: whoever reads it or signs it learns of any damage."""

from __future__ import annotations

from animus.domain.errors import AnimusError
from animus.domain.ids import GateId, ProjectId
from animus.domain.reviews import review_digest
from animus.store import reviews
from animus.store.database import ReadSession
from animus.store.tables import GateReview


class ReviewDamaged(AnimusError):
    """The bytes that are stored are not the bytes that were hashed."""

    code = "review_damaged"


async def find_frozen(
    session: ReadSession, project_id: ProjectId, gate_id: GateId
) -> GateReview | None:
    """None for a gate of before there were reviews. Raises `ReviewDamaged`."""
    row = await reviews.find_review(session, project_id, gate_id)
    if row is not None and review_digest(row.canonical) != row.digest:
        raise ReviewDamaged(
            "The stored review document does not have its digest any more. Decide nothing on it,"
            " and tell your operators."
        )
    return row
