"""Who is told of what: one table of kinds, and what becomes of one notification. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from animus.domain.errors import Invalid


class Kind(StrEnum):
    GATE_OPENED = "gate_opened"
    GATE_REMINDER = "gate_reminder"
    GATE_ESCALATED = "gate_escalated"
    GATE_REOPENED = "gate_reopened"
    GATE_CLOSED = "gate_closed"
    DECISION_WITHDRAWN = "decision_withdrawn"
    QUESTION_ASKED = "question_asked"
    QUESTION_ANSWERED = "question_answered"
    RUN_ENDED = "run_ended"
    DELEGATION_MADE = "delegation_made"
    DELEGATION_REVOKED = "delegation_revoked"


class Channel(StrEnum):
    MAIL = "mail"
    CHAT = "chat"
    """Read by many: it is never told a reason, a review or a link to one."""


class Audience(StrEnum):
    DECIDERS = "deciders"
    """Who has the gate's role, is not the requester, and has not decided; nor another in that
    person's place."""
    ADMINS = "admins"
    """Of the project, but the requester."""
    REQUESTER = "requester"
    """The person who answers for the run."""
    ASKER = "asker"
    """The person who asked a question."""
    DELEGATE = "delegate"
    """Who may decide in another's place, or could until it was taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a kind is: whom it is for, whether it brings the review, whether a channel hears it."""

    audience: Audience
    brings_review: bool = False
    is_for_chat: bool = False

    @property
    def is_of_open_gate(self) -> bool:
        """Worth nothing once the gate has closed."""
        return self.audience in (Audience.DECIDERS, Audience.ADMINS)

    @property
    def is_of_delegation(self) -> bool:
        """Of no run: whatever is decided under it comes later."""
        return self.audience is Audience.DELEGATE


NOTICES: Mapping[Kind, Notice] = {
    Kind.GATE_OPENED: Notice(audience=Audience.DECIDERS, brings_review=True, is_for_chat=True),
    Kind.GATE_REMINDER: Notice(audience=Audience.DECIDERS, brings_review=True),
    Kind.GATE_ESCALATED: Notice(audience=Audience.ADMINS, brings_review=True, is_for_chat=True),
    Kind.GATE_REOPENED: Notice(audience=Audience.DECIDERS, brings_review=True),
    Kind.GATE_CLOSED: Notice(audience=Audience.REQUESTER),
    Kind.DECISION_WITHDRAWN: Notice(audience=Audience.REQUESTER),
    Kind.QUESTION_ASKED: Notice(audience=Audience.REQUESTER),
    Kind.QUESTION_ANSWERED: Notice(audience=Audience.ASKER),
    Kind.RUN_ENDED: Notice(audience=Audience.REQUESTER, is_for_chat=True),
    Kind.DELEGATION_MADE: Notice(audience=Audience.DELEGATE, is_for_chat=True),
    Kind.DELEGATION_REVOKED: Notice(audience=Audience.DELEGATE, is_for_chat=True),
}


class Outcome(StrEnum):
    """How a notification was settled, once and for good."""

    SENT = "sent"
    UNCONFIRMED = "unconfirmed"
    """Handed over to its end, and never answered: it may have arrived, so it is not sent again."""
    REFUSED = "refused"
    """The other side will never take it: there is no such mailbox."""
    DROPPED = "dropped"
    """Nobody needs it any more, or nobody may be told."""


class TryOutcome(StrEnum):
    """How one attempt to send ended."""

    SENT = "sent"
    UNCONFIRMED = "unconfirmed"
    REFUSED = "refused"
    FAILED = "failed"
    """Surely not taken; tried again."""
    ABANDONED = "abandoned"
    """Whoever began it was gone before it was handed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """When open gates are brought up again, as parts of their life; and by what people are told."""

    remind_at: float
    escalate_at: float
    chat_projects: tuple[str, ...] = ()
    """Names of the projects that have one."""
    sends_mail: bool = True


NEWS_LIFE = timedelta(days=1)
"""Of what happened longer ago, nobody is told for the first time."""
PATIENCE = timedelta(days=3)
"""How long it is tried to tell somebody something that has no deadline."""
ANSWER_LIFE = timedelta(minutes=11)
"""A mail server may take ten minutes to answer (RFC 5321 section 4.5.3.2.6)."""
_FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(minutes=15)


def pause_after(tries: int) -> timedelta:
    """Until the next attempt, after so many that failed."""
    doubled: int = 2 ** min(max(0, tries - 1), 10)
    return min(LONGEST_PAUSE, _FIRST_PAUSE * doubled)


_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_LONGEST_ADDRESS, _LONGEST_MAILBOX = 254, 64


def check_address(address: str) -> None:
    """A plain mail address: no quotes, no comments, ASCII only (RFC 5321 section 4.1.2)."""
    mailbox = address.partition("@")[0]
    is_short = len(address) <= _LONGEST_ADDRESS and len(mailbox) <= _LONGEST_MAILBOX
    if not is_short or _ADDRESS.fullmatch(address) is None:
        raise Invalid("A mail address is written as 'name@host.example', in ASCII.")
