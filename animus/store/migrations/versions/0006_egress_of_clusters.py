"""egress of clusters

A nullable column. The version before leaves it null, which means no.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("clusters", sa.Column("switches_egress", sa.Boolean(), nullable=True))
