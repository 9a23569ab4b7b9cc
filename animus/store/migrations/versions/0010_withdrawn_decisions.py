"""withdrawn decisions

Two tables; and of decisions, closings and admissions there may be a next one. A version before
this one goes on writing first ones, and takes a withdrawn decision for one that counts: the
database starts no run for it. Reads and writes of the three tables wait while their keys are made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

NOW = sa.text("statement_timestamp()")


def upgrade() -> None:
    _let_there_be_a_next("gate_closures", ["gate_id"], "number")
    op.create_check_constraint("number_positive", "gate_closures", "number >= 1")
    _let_there_be_a_next("admissions", ["run_id", "generation"], "stay")
    op.add_column("decisions", _ordinal("number"))
    op.create_check_constraint("number_positive", "decisions", "number >= 1")
    op.drop_constraint("decisions_gate_id_person_id_key", "decisions")
    op.create_unique_constraint(None, "decisions", ["gate_id", "person_id", "number"])
    op.create_unique_constraint(None, "decisions", ["id", "gate_id", "run_id", "person_id"])
    op.create_table(
        "decision_withdrawals",
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("gate_id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("principal_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("reopens", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "decision_id"], ["decisions.project_id", "decisions.id"]
        ),
        sa.ForeignKeyConstraint(
            ["decision_id", "gate_id", "run_id", "person_id"],
            ["decisions.id", "decisions.gate_id", "decisions.run_id", "decisions.person_id"],
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "gate_id", "run_id"],
            ["approval_gates.project_id", "approval_gates.id", "approval_gates.run_id"],
        ),
        sa.ForeignKeyConstraint(
            ["gate_id", "reopens"], ["gate_closures.gate_id", "gate_closures.number"]
        ),
        sa.ForeignKeyConstraint(
            ["principal_id", "person_id"], ["principals.id", "principals.person_id"]
        ),
        sa.PrimaryKeyConstraint("decision_id"),
        sa.UniqueConstraint("gate_id", "reopens"),
    )
    op.create_index("decision_withdrawals_of_gate", "decision_withdrawals", ["gate_id"])
    op.create_index("decision_withdrawals_of_run", "decision_withdrawals", ["run_id"])
    op.create_table(
        "queue_departures",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("stay", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["project_id", "run_id"], ["runs.project_id", "runs.id"]),
        sa.PrimaryKeyConstraint("run_id", "generation", "stay"),
    )


def _let_there_be_a_next(table: str, key: list[str], ordinal: str) -> None:
    op.add_column(table, _ordinal(ordinal))
    op.drop_constraint(f"{table}_pkey", table)
    op.create_primary_key(f"{table}_pkey", table, [*key, ordinal])


def _ordinal(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="1", nullable=False)
