"""questions

Two new tables, which the version before neither writes nor reads, and two indexes for inboxes:
writes of runs and gates wait while they are made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"

NOW = sa.text("statement_timestamp()")
LENGTH = "char_length(text) BETWEEN 1 AND 2000"
ASKED_FOR = ["runs.id", "runs.requester_person_id"]
BY_WHOM = ["principals.id", "principals.person_id"]


def upgrade() -> None:
    op.create_table(
        "gate_questions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("gate_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("requester_person_id", sa.Uuid(), nullable=False),
        sa.Column("principal_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("roles_held", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint("number >= 1", name="number_positive"),
        sa.CheckConstraint("person_id <> requester_person_id", name="four_eyes"),
        sa.CheckConstraint(LENGTH, name="text_length"),
        sa.ForeignKeyConstraint(["principal_id", "person_id"], BY_WHOM),
        sa.ForeignKeyConstraint(
            ["project_id", "gate_id", "run_id"],
            ["approval_gates.project_id", "approval_gates.id", "approval_gates.run_id"],
        ),
        sa.ForeignKeyConstraint(["run_id", "requester_person_id"], ASKED_FOR),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project_id", "id", "run_id"),
        sa.UniqueConstraint("run_id", "number"),
    )
    op.create_table(
        "gate_answers",
        sa.Column("question_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("principal_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint(LENGTH, name="text_length"),
        sa.ForeignKeyConstraint(["principal_id", "person_id"], BY_WHOM),
        sa.ForeignKeyConstraint(
            ["project_id", "question_id", "run_id"],
            ["gate_questions.project_id", "gate_questions.id", "gate_questions.run_id"],
        ),
        sa.ForeignKeyConstraint(["run_id", "person_id"], ASKED_FOR),
        sa.PrimaryKeyConstraint("question_id"),
    )
    op.create_index(
        "runs_at_gates",
        "runs",
        ["project_id", "id"],
        postgresql_where=sa.text("state = 'awaiting_approval'"),
    )
    op.create_index(
        "approval_gates_by_deadline", "approval_gates", ["project_id", "deadline", "id"]
    )
