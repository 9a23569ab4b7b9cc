"""How long to wait before the next attempt of a step: the spec's back-off, a pure function."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from animus.domain.documents import Document, Int, Number

MAX_ATTEMPTS = 20
MAX_BACKOFF_SECONDS = 86_400


class Backoff(Document):
    type: Literal["fixed", "exponential"]
    initialSeconds: Annotated[Int, Field(ge=0, le=MAX_BACKOFF_SECONDS)]
    maxSeconds: Annotated[Int, Field(ge=0, le=MAX_BACKOFF_SECONDS)]
    """0 means: no cap of its own (a day is the cap of all)."""
    multiplier: Annotated[Number, Field(ge=1, le=100, allow_inf_nan=False)]


class RetryPolicy(Document):
    maxAttempts: Annotated[Int, Field(ge=1, le=MAX_ATTEMPTS)]
    backoff: Backoff


def backoff_seconds(policy: RetryPolicy, *, after_attempt: int) -> float:
    """Seconds between the end of attempt `after_attempt` (counted from 1) and the next one."""
    backoff = policy.backoff
    cap = backoff.maxSeconds or MAX_BACKOFF_SECONDS
    if backoff.type == "fixed":
        return float(min(backoff.initialSeconds, cap))
    growth = backoff.multiplier ** (after_attempt - 1)
    return float(min(backoff.initialSeconds * growth, cap))


def worst_case_seconds(policy: RetryPolicy, *, timeout_seconds: int) -> float:
    """Wall time if every attempt runs into its timeout and every back-off is waited out."""
    waits = (
        backoff_seconds(policy, after_attempt=number) for number in range(1, policy.maxAttempts)
    )
    return policy.maxAttempts * timeout_seconds + sum(waits)
