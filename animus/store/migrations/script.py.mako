"""${message}

Safety: small, forward, and compatible with the version that is still running. The lock and
statement timeouts of env.py hold: a migration that waits for a lock fails instead of queueing
everyone behind it. Add a column as nullable, fill it, enforce it: three migrations. A new table
goes into animus/store/protection.py, or the migration run refuses to finish.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
