"""delegations

One table, two nullable columns. A version before this one writes no delegations, and decides in
nobody's place. Decisions wait while those that there are are read once.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

NOW = sa.text("statement_timestamp()")
ROLES = "role IN ('viewer', 'editor', 'reviewer', 'admin', 'auditor')"


def upgrade() -> None:
    op.create_table(
        "delegations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("delegator_id", sa.Uuid(), nullable=False),
        sa.Column("delegate_id", sa.Uuid(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(ROLES, name="role_known"),
        sa.CheckConstraint("delegator_id <> delegate_id", name="two_persons"),
        sa.CheckConstraint("until > created_at", name="until_later"),
        sa.CheckConstraint("until <= created_at + interval '91 days'", name="until_bounded"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"]),
        sa.ForeignKeyConstraint(["delegator_id"], ["principals.id"]),
        sa.ForeignKeyConstraint(["delegate_id"], ["principals.id"]),
        sa.ForeignKeyConstraint(["revoked_by"], ["principals.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project_id", "id"),
        sa.UniqueConstraint("project_id", "id", "delegator_id", "delegate_id"),
    )
    op.create_index("delegations_to", "delegations", ["project_id", "delegate_id", "until"])
    op.add_column("decisions", sa.Column("delegation_id", sa.Uuid(), nullable=True))
    op.add_column("decisions", sa.Column("in_place_of", sa.Uuid(), nullable=True))
    for name, said in (
        ("in_place_by_delegation", "(delegation_id IS NULL) = (in_place_of IS NULL)"),
        ("a_second_person", "in_place_of <> requester_person_id"),
    ):
        op.execute(f"ALTER TABLE decisions ADD CONSTRAINT {name} CHECK ({said}) NOT VALID")
        op.execute(f"ALTER TABLE decisions VALIDATE CONSTRAINT {name}")
    op.create_foreign_key(
        None,
        "decisions",
        "delegations",
        ["project_id", "delegation_id", "in_place_of", "person_id"],
        ["project_id", "id", "delegator_id", "delegate_id"],
    )
