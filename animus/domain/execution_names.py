"""What the execution of an attempt is called where it runs, for its agents and for people."""

from __future__ import annotations

import re
from hashlib import sha256

ATTEMPT_LABEL = "animus.attempt"
"""On containers: the attempt's id."""
JOB_ATTEMPT_LABEL = "animus.io/attempt-id"
"""On Jobs and what belongs to them: the attempt's id."""
AGENT_LENGTH = 8
"""Of an agent's key id, in the names of containers and namespaces."""
_SLUG_LENGTH = 26
_HASH_LENGTH = 8
_RUN_LENGTH = 12


def container_name(agent: str, attempt_id: object, phase: str) -> str:
    """`agent` is the beginning of its key's id: two agents of one machine share an engine."""
    return f"{container_prefix(agent)}{attempt_id}-{phase}"


def container_prefix(agent: str) -> str:
    return f"animus-{agent}-"


def job_name(*, run_id: str, step: str, attempt: int, attempt_id: str) -> str:
    """One for each attempt, readable, and short enough to be a label's value too.

    By the attempt's id, too: an installation that was made from another's backup has its runs.
    """
    exactly = f"{run_id}/{step}/{attempt}/{attempt_id}"
    mark = sha256(exactly.encode()).hexdigest()[:_HASH_LENGTH]
    run = run_id.replace("-", "")[-_RUN_LENGTH:]
    return f"run-{run}-{_slug(step)}-{attempt}-{mark}"


def _slug(step: str) -> str:
    kept = re.sub(r"[^a-z0-9-]", "-", step.lower())[:_SLUG_LENGTH].strip("-")
    return kept or "step"
