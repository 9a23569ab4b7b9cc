"""runs by what they are

Three indexes, in a transaction of their own: writes of runs wait while they are made, nothing else.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_index("runs_of_content", "runs", ["project_id", "run_spec_digest"])
    op.create_index("runs_of_pipeline", "runs", ["project_id", "pipeline_name", "id"])
    op.create_index("runs_of_requester", "runs", ["project_id", "requested_by", "id"])
