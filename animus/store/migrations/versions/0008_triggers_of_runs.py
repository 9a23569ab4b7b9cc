"""triggers of runs

A new table. The version before writes none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "run_triggers",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("canonical", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("octet_length(canonical) <= 16384", name="canonical_size"),
        sa.ForeignKeyConstraint(["project_id", "run_id"], ["runs.project_id", "runs.id"]),
        sa.PrimaryKeyConstraint("run_id"),
    )
