"""quotas and queue

New tables, and one nullable column: a version before this one leaves it null, which is normal
priority. All is one transaction: reads and writes of runs wait while the wider check on
`runs.waiting_for` is validated and the index made, which is long where there are very many.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NOW = sa.text("statement_timestamp()")
WAITING_FOR = (
    "waiting_for IN ('planning', 'approval', 'execution', 'quota_exceeded', 'queue_blocked', "
    "'steps', 'cancellation')"
)


def upgrade() -> None:
    for table, subject, target in (
        ("project_quotas", "project_id", "projects.id"),
        ("cluster_capacities", "cluster_id", "clusters.id"),
    ):
        op.create_table(
            table,
            sa.Column(subject, sa.Uuid(), nullable=False),
            sa.Column("revision", sa.Integer(), nullable=False),
            sa.Column("limits", sa.LargeBinary(), nullable=False),
            sa.Column("reason", sa.String(), nullable=False),
            sa.Column("created_by", sa.Uuid(), nullable=False),
            sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
            sa.CheckConstraint("revision >= 1", name="revision_positive"),
            sa.ForeignKeyConstraint([subject], [target]),
            sa.ForeignKeyConstraint(["created_by"], ["principals.id"]),
            sa.PrimaryKeyConstraint(subject, "revision"),
        )
    for table, moment in (("queue_entries", "enqueued_at"), ("admissions", "admitted_at")):
        op.create_table(
            table,
            sa.Column("run_id", sa.Uuid(), nullable=False),
            sa.Column("generation", sa.Integer(), nullable=False),
            sa.Column("project_id", sa.Uuid(), nullable=False),
            sa.Column("peak", sa.LargeBinary(), nullable=False),
            sa.Column(moment, sa.DateTime(timezone=True), server_default=NOW, nullable=False),
            sa.ForeignKeyConstraint(["project_id", "run_id"], ["runs.project_id", "runs.id"]),
            sa.PrimaryKeyConstraint("run_id", "generation"),
        )
    op.add_column("runs", sa.Column("priority", sa.String(), nullable=True))
    op.execute(
        "ALTER TABLE runs ADD CONSTRAINT priority_known "
        "CHECK (priority IN ('high', 'normal', 'low')) NOT VALID"
    )
    op.execute("ALTER TABLE runs DROP CONSTRAINT waiting_for_known")
    op.execute(f"ALTER TABLE runs ADD CONSTRAINT waiting_for_known CHECK ({WAITING_FOR}) NOT VALID")
    op.execute("ALTER TABLE runs VALIDATE CONSTRAINT priority_known")
    op.execute("ALTER TABLE runs VALIDATE CONSTRAINT waiting_for_known")
    op.create_index(
        "runs_queued",
        "runs",
        ["id"],
        unique=False,
        postgresql_where=sa.text("waiting_for IN ('quota_exceeded', 'queue_blocked')"),
    )
