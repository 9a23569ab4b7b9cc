"""Who is told of what: addresses, notifications, attempts to send them, links to a review."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlmodel import SQLModel

from animus.domain.notifications import Channel, Kind, Outcome, TryOutcome
from animus.store.columns import (
    content,
    digest_size,
    in_project,
    key,
    moment,
    of_same_run,
    one_of,
    optional_moment,
    recorded,
    within_project,
)


class MailAddress(SQLModel, table=True):
    """Where a person gets mail. Changed and deleted as people ask for; the log keeps who did."""

    __tablename__ = "mail_addresses"
    __table_args__ = (
        ForeignKeyConstraint(["person_id"], ["principals.id"]),
        ForeignKeyConstraint(["set_by"], ["principals.id"]),
        CheckConstraint("char_length(address) <= 254", name="address_length"),
    )
    person_id: UUID = key()
    address: str
    set_by: UUID
    set_at: datetime = moment()


class Notification(SQLModel, table=True):
    """One person, or one project's channel, is told of one thing: one row, whoever asks for it."""

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("project_id", "id"),
        UniqueConstraint(
            "kind",
            "subject_id",
            "number",
            "channel",
            "person_id",
            postgresql_nulls_not_distinct=True,
        ),
        within_project("run_id", "runs"),
        of_same_run("gate_id", "approval_gates"),
        within_project("delegation_id", "delegations"),
        ForeignKeyConstraint(["person_id"], ["principals.id"]),
        one_of("kind", Kind),
        one_of("channel", Channel),
        one_of("outcome", Outcome),
        CheckConstraint(
            "(channel = 'mail') = (person_id IS NOT NULL)", name="mails_are_for_persons"
        ),
        CheckConstraint("num_nonnulls(run_id, delegation_id) = 1", name="of_a_run_or_a_delegation"),
        CheckConstraint("(settled_at IS NULL) = (outcome IS NULL)", name="settled_with_outcome"),
        Index("notifications_owed", "next_try_at", postgresql_where=text("settled_at IS NULL")),
        Index("notifications_of_run", "run_id"),
        Index("notifications_settled", "settled_at"),
    )
    id: UUID = key()
    project_id: UUID
    run_id: UUID | None = None
    gate_id: UUID | None = None
    delegation_id: UUID | None = None
    kind: str
    subject_id: UUID
    """What it is about: a gate, a run, a question, a decision that was taken back, a delegation."""
    number: int = 1
    """Of a gate's closings, which may be several."""
    channel: str
    person_id: UUID | None = None
    until: datetime = moment()
    """After it nobody is told any more."""
    created_at: datetime = recorded()
    next_try_at: datetime = moment()
    settled_at: datetime | None = optional_moment()
    outcome: str | None = None
    code: str | None = None


class NotificationTry(SQLModel, table=True):
    """One attempt to send. `handed_at` is written before the last bytes go out: only an attempt
    without it may be followed by another."""

    __tablename__ = "notification_tries"
    __table_args__ = (
        within_project("notification_id", "notifications"),
        one_of("outcome", TryOutcome),
        CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended_with_outcome"),
        CheckConstraint(
            "outcome NOT IN ('sent', 'unconfirmed') OR handed_at IS NOT NULL",
            name="nothing_arrives_that_was_not_handed_over",
        ),
        Index("notification_tries_ended", "ended_at"),
    )
    notification_id: UUID = key()
    number: int = key()
    project_id: UUID
    began_at: datetime = recorded()
    handed_at: datetime | None = optional_moment()
    ended_at: datetime | None = optional_moment()
    outcome: str | None = None
    code: str | None = None


class ReviewLink(SQLModel, table=True):
    """Shows one review once, to whoever has it. Only the hash of its token is here; of those of
    one notification the newest is good."""

    __tablename__ = "review_links"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        in_project(),
        within_project("notification_id", "notifications"),
        within_project("gate_id", "approval_gates"),
        ForeignKeyConstraint(["person_id"], ["principals.id"]),
        digest_size("token_hash"),
        Index("review_links_of_notification", "notification_id"),
    )
    id: UUID = key()
    project_id: UUID
    notification_id: UUID
    gate_id: UUID
    person_id: UUID
    token_hash: bytes = content()
    created_at: datetime = recorded()
    expires_at: datetime = moment()
    used_at: datetime | None = optional_moment()
