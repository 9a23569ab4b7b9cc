"""The words of notifications: templates with a subject, and the fields that they may name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

from animus.domain.errors import Invalid
from animus.domain.notifications import NOTICES, Channel, Kind

_EVERYWHERE = frozenset(
    {"project", "run", "run_id", "pipeline", "classification", "requester", "state"}
)
_OF_GATE = frozenset({"gate", "gate_id", "role", "quorum", "opened", "deadline", "time_left"})
_OF_CLOSING = frozenset({"gate", "gate_id", "closing"})
_OF_END = frozenset({"failure"})
_PRIVATE = frozenset({"person", "reason", "ticket"})
_DECISIONS = frozenset({"decisions"})
"""In mails only: a channel is read by many."""
_REVIEW = frozenset({"review", "link", "link_until"})


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
    fields = _EVERYWHERE
    if kind is Kind.RUN_ENDED:
        fields |= _OF_END
    elif kind is Kind.GATE_CLOSED:
        fields |= _OF_CLOSING
    else:
        fields |= _OF_GATE
    if channel is Channel.MAIL:
        fields |= _PRIVATE | (_REVIEW if NOTICES[kind].brings_review else frozenset())
        fields |= _DECISIONS if kind is Kind.GATE_CLOSED else frozenset()
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
