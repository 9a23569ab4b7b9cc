"""The words of notifications: templates with a subject, and the fields that they may name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

from animus.domain.errors import Invalid
from animus.domain.notifications import NOTICES, Channel, Kind

_EVERYWHERE = frozenset({"project"})
_OF_RUN = frozenset({"run", "run_id", "pipeline", "classification", "requester", "state"})
_OF_GATE = frozenset({"gate", "gate_id", "role", "quorum", "opened", "deadline", "time_left"})
_OF_CLOSING = frozenset({"gate", "gate_id", "closing"})
_OF_QUESTION = frozenset({"gate", "gate_id", "number", "question", "asker"})
_OF_WITHDRAWAL = frozenset({"gate", "gate_id", "deadline", "withdrawer", "withdrawal_reason"})
_OF_END = frozenset({"failure"})
_OF_DELEGATION = frozenset({"delegator", "delegate", "role", "since", "until", "delegation_id"})
_PRIVATE = frozenset({"person", "reason"})
"""In mails only: a channel is read by many."""
_PRIVATE_OF_RUN = frozenset({"ticket"})
_REVIEW = frozenset({"review", "link", "link_until"})
_OF_KIND = {
    Kind.GATE_CLOSED: _OF_CLOSING,
    Kind.DECISION_WITHDRAWN: _OF_WITHDRAWAL,
    Kind.QUESTION_ASKED: _OF_QUESTION,
    Kind.QUESTION_ANSWERED: _OF_QUESTION,
    Kind.RUN_ENDED: _OF_END,
    Kind.DELEGATION_MADE: _OF_DELEGATION,
    Kind.DELEGATION_REVOKED: _OF_DELEGATION | frozenset({"revoker"}),
}
"""What is said of the gate that is open, for every other kind."""
_PRIVATE_OF_KIND = {
    Kind.GATE_CLOSED: frozenset({"decisions"}),
    Kind.GATE_REOPENED: frozenset({"withdrawer", "withdrawal_reason"}),
    Kind.QUESTION_ANSWERED: frozenset({"answer", "answerer"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is said, before it is a mail or a message."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterTemplate:
    subject: Template
    text: Template

    def fill(self, fields: Mapping[str, str]) -> Letter:
        subject = " ".join(self.subject.substitute(fields).split())
        return Letter(subject=subject, text=self.text.substitute(fields))


def file_name(kind: Kind, channel: Channel) -> str:
    return f"{kind}.{channel}.txt"


def wanted_templates() -> list[tuple[Kind, Channel]]:
    """Every kind as a mail, and those that a channel hears."""
    chat = [(kind, Channel.CHAT) for kind, notice in NOTICES.items() if notice.is_for_chat]
    return [*((kind, Channel.MAIL) for kind in NOTICES), *chat]


def fields_of(kind: Kind, channel: Channel) -> frozenset[str]:
    """What a template of this kind may name in this channel."""
    is_of_run = not NOTICES[kind].is_of_delegation
    fields = _EVERYWHERE | _OF_KIND.get(kind, _OF_GATE) | (_OF_RUN if is_of_run else frozenset())
    if channel is Channel.MAIL:
        fields |= _PRIVATE | (_PRIVATE_OF_RUN if is_of_run else frozenset())
        fields |= _REVIEW if NOTICES[kind].brings_review else frozenset()
        fields |= _PRIVATE_OF_KIND.get(kind, frozenset())
    return fields


def read_template(kind: Kind, channel: Channel, source: str) -> LetterTemplate:
    """From a first line `Subject: …`, an empty line and the text. Raises `Invalid`."""
    head, _, text = source.partition("\n")
    empty, _, text = text.partition("\n")
    name = file_name(kind, channel)
    if not head.startswith("Subject: ") or empty.strip() or not text.strip():
        raise Invalid(f"{name} begins with 'Subject: …' and an empty line, and has a text.")
    made = LetterTemplate(subject=Template(head.removeprefix("Subject: ")), text=Template(text))
    for part in (made.subject, made.text):
        _check_fields(part, kind, channel)
    return made


def _check_fields(part: Template, kind: Kind, channel: Channel) -> None:
    name, known = file_name(kind, channel), fields_of(kind, channel)
    if not part.is_valid():
        raise Invalid(f"{name} has a '$' that names no field. A dollar is written as '$$'.")
    unknown = sorted(set(part.get_identifiers()) - known)
    if unknown:
        raise Invalid(f"{name} names {', '.join(unknown)}. It may name {', '.join(sorted(known))}.")
