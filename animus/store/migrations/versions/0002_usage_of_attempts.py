"""usage of attempts

Nullable columns beside the signed result. A worker of the version before leaves them null, and the
constraint holds for null.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for name in ("cpu_milliseconds", "peak_memory_bytes", "bytes_in", "bytes_out"):
        op.add_column("attempt_outcomes", sa.Column(name, sa.BigInteger(), nullable=True))
    op.create_check_constraint(
        "usage_not_negative",
        "attempt_outcomes",
        "least(cpu_milliseconds, peak_memory_bytes, bytes_in, bytes_out) >= 0",
    )
