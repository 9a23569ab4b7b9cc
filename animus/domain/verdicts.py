"""Verdicts: what policies say of a plan body, and how what they say is combined.

Every rule of every version in force is asked, there is no first match. Deny wins; all gates are
demanded; equal gates merge to the larger quorum and the earlier deadline.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from animus.domain.documents import Document, Int, Name
from animus.domain.limitations import LimitationCode

BUILTIN = "builtin"
MAX_QUORUM = 20
MAX_DEADLINE_SECONDS = 365 * 86_400


class Effect(StrEnum):
    ALLOW = "allow"
    REQUIRE_APPROVAL = "require_approval"
    DENY = "deny"


class Finding(Document):
    """One rule that had something to say: `policy` is a digest, or `builtin`."""

    policy: str
    rule: str
    effect: Effect
    reason: str


class RuleName(Document):
    policy: str
    rule: str


class GateRule(Document):
    """What must be decided, by which role, by when. Never by whom: people are no content."""

    name: Name
    role: Literal["reviewer", "admin"]
    quorum: Annotated[Int, Field(ge=1, le=MAX_QUORUM)]
    deadline_seconds: Annotated[Int, Field(ge=60, le=MAX_DEADLINE_SECONDS)]
    service_accounts: tuple[Name, ...] = ()
    """Service accounts that may decide beside persons; sorted."""
    demanded_by: tuple[RuleName, ...]


class Verdict(Document):
    effect: Effect
    findings: tuple[Finding, ...]
    gates: tuple[GateRule, ...]
    accepted: tuple[LimitationCode, ...] = ()
    """Limitations that production forbids and a policy accepts; sorted."""
