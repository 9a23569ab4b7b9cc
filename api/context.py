"""What the api's routes work with: databases, object store, rule judge, clock, limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from animus.ports import ObjectStore, RuleJudge
from animus.store.database import Database
from api.limits import RateLimiter


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    database: Database
    reader: Database
    """A role with SELECT only, for previews."""
    store: ObjectStore
    judge: RuleJudge
    now: Callable[[], datetime]
    limiter: RateLimiter
    public_url: str


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context
