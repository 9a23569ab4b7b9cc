"""several clusters

New tables. All is one transaction: reads and writes of runs wait while the wider check on
`runs.waiting_for` is validated, which is long where there are very many.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

NOW = sa.text("statement_timestamp()")
WAITING_FOR = (
    "waiting_for IN ('planning', 'approval', 'execution', 'quota_exceeded', 'queue_blocked', "
    "'steps', 'agent', 'cancellation')"
)


def upgrade() -> None:
    op.create_table(
        "agent_heartbeats",
        sa.Column("cluster_id", sa.Uuid(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"]),
        sa.PrimaryKeyConstraint("cluster_id"),
    )
    op.create_table(
        "agent_absences",
        sa.Column("cluster_id", sa.Uuid(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("noticed_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["cluster_id"], ["clusters.id"]),
        sa.PrimaryKeyConstraint("cluster_id", "last_seen_at"),
    )
    op.create_index(
        "agent_absences_one_at_a_time",
        "agent_absences",
        ["cluster_id"],
        unique=True,
        postgresql_where=sa.text("returned_at IS NULL"),
    )
    op.create_table(
        "project_clusters",
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("clusters", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint("revision >= 1", name="revision_positive"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"]),
        sa.ForeignKeyConstraint(["created_by"], ["principals.id"]),
        sa.PrimaryKeyConstraint("project_id", "revision"),
    )
    op.execute("ALTER TABLE runs DROP CONSTRAINT waiting_for_known")
    op.execute(f"ALTER TABLE runs ADD CONSTRAINT waiting_for_known CHECK ({WAITING_FOR}) NOT VALID")
    op.execute("ALTER TABLE runs VALIDATE CONSTRAINT waiting_for_known")
