"""Why an agent gave an attempt up, noted on its Job: there is no pod left to read it from."""

from __future__ import annotations

from pydantic import ValidationError

from animus.adapters.kubernetes.names import FAILURE
from animus.domain.canonical import JsonObject
from animus.domain.work_orders import Failure


def note_of(failure: Failure) -> dict[str, str]:
    """The annotation."""
    return {FAILURE: failure.model_dump_json()}


def find_noted(job: JsonObject | None) -> Failure | None:
    """What was noted; whoever wrote something else there has said nothing."""
    said = ((job or {}).get("metadata") or {}).get("annotations") or {}
    try:
        return Failure.model_validate_json(said[FAILURE]) if FAILURE in said else None
    except ValidationError:
        return None
