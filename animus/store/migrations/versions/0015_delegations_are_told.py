"""delegations are told, and tellings are counted

News of the outbox and notifications may be of no run; indexes on delegations and on what has ended
of notifications. A worker of the version before leaves such rows of the outbox to the next, and
puts such notifications off.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

KINDS = (
    "kind IN ('gate_opened', 'gate_reminder', 'gate_escalated', 'gate_reopened', 'gate_closed', "
    "'decision_withdrawn', 'question_asked', 'question_answered', 'run_ended', 'delegation_made', "
    "'delegation_revoked')"
)


def upgrade() -> None:
    op.add_column("notifications", sa.Column("delegation_id", sa.Uuid(), nullable=True))
    op.alter_column("notifications", "run_id", nullable=True)
    op.execute("ALTER TABLE notifications DROP CONSTRAINT kind_known")
    _check("notifications", "kind_known", KINDS)
    _check("notifications", "of_a_run_or_a_delegation", "num_nonnulls(run_id, delegation_id) = 1")
    op.create_foreign_key(
        None, "notifications", "delegations",
        ["project_id", "delegation_id"], ["project_id", "id"],
    )  # fmt: skip
    op.create_index("notifications_settled", "notifications", ["settled_at"])
    op.create_index("notification_tries_ended", "notification_tries", ["ended_at"])
    op.create_index("delegations_newest", "delegations", ["created_at"])
    op.create_index(
        "delegations_revoked",
        "delegations",
        ["revoked_at"],
        postgresql_where=sa.text("revoked_at IS NOT NULL"),
    )
    # Last: every run that is submitted or decided on waits for it, and no longer than this takes.
    op.alter_column("outbox", "run_id", nullable=True)
    _check("outbox", "news_only_without_run", "run_id IS NOT NULL OR kind = 'notify'")
    op.create_foreign_key(None, "outbox", "projects", ["project_id"], ["id"])


def _check(table: str, name: str, said: str) -> None:
    """Read once while the table is written on."""
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({said}) NOT VALID")
    op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
