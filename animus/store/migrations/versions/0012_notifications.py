"""notifications

Four new tables, and two indexes: writes of runs and of gate closures wait while they are made.
A version before this one tells nobody.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

NOW = sa.text("statement_timestamp()")


def _recorded(name: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=NOW, nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "mail_addresses",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("set_by", sa.Uuid(), nullable=False),
        _moment("set_at"),
        sa.CheckConstraint("char_length(address) <= 254", name="address_length"),
        sa.ForeignKeyConstraint(["person_id"], ["principals.id"]),
        sa.ForeignKeyConstraint(["set_by"], ["principals.id"]),
        sa.PrimaryKeyConstraint("person_id"),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("gate_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        _moment("until"),
        _recorded("created_at"),
        _moment("next_try_at"),
        _moment("settled_at", nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('gate_opened', 'gate_reminder', 'gate_escalated', 'gate_reopened', "
            "'gate_closed', 'decision_withdrawn', 'question_asked', 'question_answered', "
            "'run_ended')",
            name="kind_known",
        ),
        sa.CheckConstraint("channel IN ('mail', 'chat')", name="channel_known"),
        sa.CheckConstraint(
            "outcome IN ('sent', 'unconfirmed', 'refused', 'dropped')", name="outcome_known"
        ),
        sa.CheckConstraint(
            "(channel = 'mail') = (person_id IS NOT NULL)", name="mails_are_for_persons"
        ),
        sa.CheckConstraint("(settled_at IS NULL) = (outcome IS NULL)", name="settled_with_outcome"),
        sa.ForeignKeyConstraint(["project_id", "run_id"], ["runs.project_id", "runs.id"]),
        sa.ForeignKeyConstraint(
            ["project_id", "gate_id", "run_id"],
            ["approval_gates.project_id", "approval_gates.id", "approval_gates.run_id"],
        ),
        sa.ForeignKeyConstraint(["person_id"], ["principals.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project_id", "id"),
        sa.UniqueConstraint(
            "kind",
            "subject_id",
            "number",
            "channel",
            "person_id",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(
        "notifications_owed",
        "notifications",
        ["next_try_at"],
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.create_index("notifications_of_run", "notifications", ["run_id"])
    op.create_table(
        "notification_tries",
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        _recorded("began_at"),
        _moment("handed_at", nullable=True),
        _moment("ended_at", nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('sent', 'unconfirmed', 'refused', 'failed', 'abandoned')",
            name="outcome_known",
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ended_with_outcome"),
        sa.CheckConstraint(
            "outcome NOT IN ('sent', 'unconfirmed') OR handed_at IS NOT NULL",
            name="nothing_arrives_that_was_not_handed_over",
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "notification_id"], ["notifications.project_id", "notifications.id"]
        ),
        sa.PrimaryKeyConstraint("notification_id", "number"),
    )
    op.create_table(
        "review_links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("gate_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        _recorded("created_at"),
        _moment("expires_at"),
        _moment("used_at", nullable=True),
        sa.CheckConstraint("octet_length(token_hash) = 32", name="token_hash_size"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"]),
        sa.ForeignKeyConstraint(
            ["project_id", "notification_id"], ["notifications.project_id", "notifications.id"]
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "gate_id"], ["approval_gates.project_id", "approval_gates.id"]
        ),
        sa.ForeignKeyConstraint(["person_id"], ["principals.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index("review_links_of_notification", "review_links", ["notification_id"])
    op.create_index(
        "runs_ended",
        "runs",
        ["ended_at"],
        postgresql_where=sa.text("ended_at IS NOT NULL AND classification = 'production'"),
    )
    op.create_index("gate_closures_newest", "gate_closures", ["closed_at"])
