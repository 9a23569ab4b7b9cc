"""What a notification says: the fields of its template, from the records as they are now."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from animus.domain.ids import GateId, ProjectId
from animus.domain.notification_templates import Letter, LetterTemplate
from animus.domain.notifications import NOTICES, Channel, Kind
from animus.domain.review_texts import write_text
from animus.domain.review_words import count_words, moment_words, period_words
from animus.domain.reviews import read_review
from animus.domain.tokens import ENTROPY_BYTES, TokenKind, make_token, token_hash
from animus.domain.visible_texts import visible
from animus.services.approvals import GateView, get_gate
from animus.services.decisions import DecisionView
from animus.services.frozen_reviews import ReviewDamaged, find_frozen
from animus.store import notifications, questions
from animus.store.database import UnitOfWork
from animus.store.new_ids import new_id
from animus.store.notifications import NotificationRow, Told
from animus.store.tables import ReviewLink

LONGEST_REVIEW = 200_000
"""Characters of a mail; the page has all of it."""
LINK_PATH = "/api/v1/review-links/"

Templates = Mapping[tuple[Kind, Channel], LetterTemplate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    letter: Letter = field(repr=False)
    """Holds a link that works: it is never logged."""
    project: str


async def write_letter(
    uow: UnitOfWork, row: NotificationRow, templates: Templates, *, public_url: str
) -> Written:
    fields = await _fields(uow, row, public_url=public_url)
    letter = templates[row.kind, row.channel].fill(fields)
    return Written(letter=letter, project=fields["project"])


async def _fields(uow: UnitOfWork, row: NotificationRow, *, public_url: str) -> dict[str, str]:
    project_id = ProjectId(row.project_id)
    if row.run_id is None:
        return await _of_delegation(uow, row)
    told = await notifications.get_told(uow, project_id, row.run_id, person_id=row.person_id)
    fields = _of_run(row, told)
    if row.gate_id is not None:
        gate = await get_gate(uow, project_id, GateId(row.gate_id))
        fields |= _of_gate(gate, now=row.now)
        if row.channel is Channel.MAIL and NOTICES[row.kind].brings_review:
            fields |= await _review(uow, row, gate, public_url=public_url)
    return fields | await _of_subject(uow, row)


async def _of_delegation(uow: UnitOfWork, row: NotificationRow) -> dict[str, str]:
    assert row.delegation_id is not None  # it is of no run
    told = await notifications.get_told_delegation(uow, row.project_id, row.delegation_id)
    said = {
        "project": told.project,
        "role": told.role,
        "delegator": told.delegator,
        "delegate": told.delegate,
        "since": moment_words(told.created_at),
        "until": moment_words(told.until),
        "delegation_id": str(row.delegation_id),
        "revoker": told.revoker,
        "person": told.person,
        "reason": told.reason,
    }
    return {name: visible(text) for name, text in said.items()}


def _of_run(row: NotificationRow, told: Told) -> dict[str, str]:
    said = {
        "project": told.project,
        "run": told.run,
        "run_id": str(row.run_id),
        "pipeline": told.pipeline,
        "classification": told.classification,
        "requester": told.requester,
        "state": told.state,
        "person": told.person,
        "reason": told.reason or "none given",
        "ticket": told.ticket or "none given",
        "failure": _failure(told),
    }
    return {name: visible(text) for name, text in said.items()}


def _failure(told: Told) -> str:
    if told.failure_code is None:
        return ""
    return f"Failure: {told.failure_class}, {told.failure_code}."


async def _of_subject(uow: UnitOfWork, row: NotificationRow) -> dict[str, str]:
    """What a question says, or who took back a decision and why."""
    said: dict[str, str] = {}
    if row.kind in (Kind.QUESTION_ASKED, Kind.QUESTION_ANSWERED):
        asked = await questions.find_question(uow, row.project_id, row.subject_id)
        assert asked is not None  # it is what the notification is about
        said = {"number": str(asked.number), "question": asked.text, "asker": asked.principal}
        if asked.answer is not None:
            said |= {"answer": asked.answer.text, "answerer": asked.answer.principal}
    if row.kind in (Kind.GATE_REOPENED, Kind.DECISION_WITHDRAWN):
        who, why = await notifications.get_withdrawal(uow, row.project_id, row.subject_id)
        said = {"withdrawer": who, "withdrawal_reason": why}
    return {name: visible(text) for name, text in said.items()}


def _of_gate(gate: GateView, *, now: datetime) -> dict[str, str]:
    said = {
        "gate": gate.name,
        "gate_id": str(gate.id),
        "role": gate.rule.role,
        "quorum": count_words(gate.rule.quorum, "decision"),
        "opened": moment_words(gate.opened_at),
        "deadline": moment_words(gate.deadline),
        "time_left": period_words((gate.deadline - now).total_seconds()),
        "closing": gate.closing or "open",
    }
    decisions = [visible(_decision(one)) for one in gate.decisions]
    shown = {name: visible(text) for name, text in said.items()}
    return shown | {"decisions": "\n".join(decisions) or "Nobody decided."}


def _decision(one: DecisionView) -> str:
    by = one.principal + (f" in place of {one.in_place_of}" if one.in_place_of else "")
    said = f"{by}: {one.verdict}, {one.reason}"
    if one.withdrawal is None:
        return said
    return f"{said}; withdrawn by {one.withdrawal.principal}: {one.withdrawal.reason}"


async def _review(
    uow: UnitOfWork, row: NotificationRow, gate: GateView, *, public_url: str
) -> dict[str, str]:
    token = _make_link(uow, row, gate)
    return {
        "review": await _review_text(uow, gate, ProjectId(row.project_id)),
        "link": f"{public_url.rstrip('/')}{LINK_PATH}{token}",
        "link_until": moment_words(gate.deadline),
    }


async def _review_text(uow: UnitOfWork, gate: GateView, project_id: ProjectId) -> str:
    try:
        row = await find_frozen(uow, project_id, gate.id)
    except ReviewDamaged as error:
        return error.message
    if row is None:
        return "This gate was opened by a version that wrote no review."
    text = write_text(read_review(row.canonical))
    if len(text) <= LONGEST_REVIEW:
        return text
    return f"{text[:LONGEST_REVIEW]}\n\n[{len(text):,} characters in all: the page shows them]\n"


def _make_link(uow: UnitOfWork, row: NotificationRow, gate: GateView) -> str:
    """The token; only its hash is kept. The newest of a notification is the one that works."""
    assert row.person_id is not None  # it is a mail
    token = make_token(TokenKind.REVIEW_LINK, secrets.token_bytes(ENTROPY_BYTES))
    uow.add(
        ReviewLink(
            id=new_id(),
            project_id=row.project_id,
            notification_id=row.id,
            gate_id=gate.id,
            person_id=row.person_id,
            token_hash=token_hash(token),
            expires_at=gate.deadline,
        )
    )
    return token
