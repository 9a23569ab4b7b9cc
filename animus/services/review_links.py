"""The link in a mail: it shows one review, once, to whoever has it, and permits nothing."""

from __future__ import annotations

from animus.domain.errors import CredentialRefused, Gone, NotFound
from animus.domain.ids import GateId, ProjectId
from animus.domain.reviews import SealedReview, read_review
from animus.domain.tokens import TokenKind, read_kind, token_hash, token_hint
from animus.services.calls import Call, record
from animus.services.frozen_reviews import find_frozen
from animus.store import review_links, runs
from animus.store.database import ReadSession, UnitOfWork
from animus.store.review_links import LinkRow


class ReviewLinkOver(Gone):
    """Used before, replaced, past its time, or of somebody who may not see the review any more."""

    code = "review_link_over"

    def __init__(self, gate_id: GateId) -> None:
        super().__init__(
            "This link was used, has expired or was replaced by that of a later mail. See the"
            f" review with 'animus approvals show {gate_id}'."
        )
        self.gate_id = gate_id


async def check_link(session: ReadSession, token: str) -> None:
    """Whether it is good, without using it: mail programs open links before people do. Raises
    `NotFound` and `ReviewLinkOver`."""
    await _get_good(session, token)


async def use_link(uow: UnitOfWork, call: Call, token: str) -> SealedReview:
    """The review, to the first who asks. Raises as `check_link`; and `ReviewDamaged`, after which
    the link stays good."""
    row = await _get_good(uow, token)
    project_id, gate_id = ProjectId(row.project_id), GateId(row.gate_id)
    frozen = await find_frozen(uow, project_id, gate_id)
    if frozen is None or not await review_links.use_link(uow, row.id):
        raise ReviewLinkOver(gate_id)
    record(
        uow, call, "review_link.used",
        project_id=project_id,
        subjects={
            "run": row.run_id, "gate": gate_id, "principal": row.person_id, "review_link": row.id,
        },
    )  # fmt: skip
    return read_review(frozen.canonical)


async def _get_good(session: ReadSession, token: str) -> LinkRow:
    row = await _find(session, token)
    if row is None:
        raise NotFound("review link", token_hint(token))
    is_over = row.used_at is not None or not row.is_newest or not row.may_see
    if is_over or await runs.database_time(session) >= row.expires_at:
        raise ReviewLinkOver(GateId(row.gate_id))
    return row


async def _find(session: ReadSession, token: str) -> LinkRow | None:
    try:
        kind = read_kind(token)
    except CredentialRefused:
        return None
    if kind is not TokenKind.REVIEW_LINK:
        return None
    return await review_links.find_link(session, token_hash(token))
