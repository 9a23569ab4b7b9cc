"""secrets of clusters

A nullable column. The version before leaves it null, which means no.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("clusters", sa.Column("gives_secrets", sa.Boolean(), nullable=True))
