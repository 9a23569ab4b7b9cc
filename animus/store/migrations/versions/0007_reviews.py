"""reviews

One table, one nullable column. A version before this one writes no reviews, and its decisions on
gates that have one are refused. Decisions wait while those that there are are read once.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

NOW = sa.text("statement_timestamp()")


def upgrade() -> None:
    op.create_table(
        "gate_reviews",
        sa.Column("gate_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("pipeline_name", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("canonical", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint("octet_length(digest) = 32", name="digest_size"),
        sa.ForeignKeyConstraint(
            ["project_id", "gate_id", "run_id"],
            ["approval_gates.project_id", "approval_gates.id", "approval_gates.run_id"],
        ),
        sa.PrimaryKeyConstraint("gate_id"),
        sa.UniqueConstraint("project_id", "gate_id", "digest"),
    )
    op.create_index("gate_reviews_of_run", "gate_reviews", ["run_id"])
    op.create_index("gate_reviews_of_pipeline", "gate_reviews", ["project_id", "pipeline_name"])
    op.add_column("decisions", sa.Column("meaning", sa.String(), nullable=True))
    op.execute(
        "ALTER TABLE decisions ADD CONSTRAINT meaning_known "
        "CHECK (meaning IN ('reviewed', 'approved', 'took_responsibility')) NOT VALID"
    )
    op.execute("ALTER TABLE decisions VALIDATE CONSTRAINT meaning_known")
    op.create_foreign_key(
        None,
        "decisions",
        "gate_reviews",
        ["project_id", "gate_id", "review_digest"],
        ["project_id", "gate_id", "digest"],
    )
