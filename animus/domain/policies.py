"""Policies as data: documents of CEL rules, the bounds a version must keep, their digests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from animus.domain.canonical import canonical_bytes
from animus.domain.digests import Digest, digest_of_canonical
from animus.domain.documents import Document, Int, Name, SparseDocument, Text, decode_document
from animus.domain.errors import Fault, InvalidDocument
from animus.domain.limitations import LimitationCode
from animus.domain.pipeline_short_form import seconds_of
from animus.domain.verdicts import MAX_DEADLINE_SECONDS, MAX_QUORUM, Effect

TAG = "animus.policy/v1"
MAX_RULES = 50
MAX_RULE_BYTES = 2_048
MAX_NESTING = 2
"""Comprehensions within comprehensions: the library has no cost limit, so depth is bounded here."""

_COMPREHENSION = re.compile(r"\.\s*[A-Za-z_]\w*\s*\(\s*[A-Za-z_]\w*\s*,")
"""A call that binds a name, by its shape: the library has more such macros than its documents."""
_TEXT = re.compile(
    r"""
    //[^\n]*
    | (?:[rR][bB]?|[bB][rR])(?:\"{3}.*?\"{3} | '{3}.*?'{3} | "[^"]*" | '[^']*')
    | [bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3})
    | [bB]?(?:"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*')
    """,
    re.DOTALL | re.VERBOSE,
)
"""Comments, raw strings (a backslash escapes nothing), strings in three quotes and in one."""


class ApprovalDemand(Document):
    role: Literal["reviewer", "admin"] = "reviewer"
    quorum: Annotated[Int, Field(ge=1, le=MAX_QUORUM)] = 1
    deadline: Annotated[
        Int,
        BeforeValidator(seconds_of, json_schema_input_type=Int | str),
        Field(ge=60, le=MAX_DEADLINE_SECONDS),
    ]
    service_accounts: Annotated[tuple[Name, ...], Field(max_length=20)] = ()
    """Service accounts that may decide too. Without this only persons decide."""


class Rule(SparseDocument):
    id: Name
    when: Annotated[str, StringConstraints(min_length=1)]
    """A CEL expression over `plan` that gives true or false."""
    effect: Effect
    reason: Text
    approval: ApprovalDemand | None = None
    accept: Annotated[tuple[LimitationCode, ...], Field(max_length=20)] = ()
    """Limitations that production forbids, accepted where this rule matches."""


class PolicyDocument(SparseDocument):
    schema_: Annotated[Literal["animus.policy/v1"], Field(alias="schema")]
    description: Text | None = None
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=MAX_RULES)]


DEFAULT_POLICY_NAME = "default"
DEFAULT_POLICY = {
    "schema": "animus.policy/v1",
    "description": "Development is allowed; production needs one reviewer within three days.",
    "rules": [
        {
            "id": "development-is-allowed",
            "when": "plan.classification == 'development'",
            "effect": "allow",
            "reason": "Development runs need no approval.",
        },
        {
            "id": "production-needs-a-reviewer",
            "when": "plan.classification == 'production'",
            "effect": "require_approval",
            "reason": "A second person decides on every production run.",
            "approval": {"role": "reviewer", "quorum": 1, "deadline": "3d"},
        },
    ],
}


def read_policy(value: object) -> PolicyDocument:
    """Types and bounds; whether the expressions compile is asked of the rule judge."""
    policy = decode_document(PolicyDocument, value, what="policy")
    faults = tuple(_bound_faults(policy))
    if faults:
        raise InvalidDocument("This policy breaks a bound.", faults)
    return policy


def policy_bytes(policy: PolicyDocument) -> bytes:
    """Canonical bytes, whatever the order of declaration: all rules are asked, none is first."""
    rules = sorted((_rule_in_order(rule) for rule in policy.rules), key=lambda rule: rule.id)
    return canonical_bytes(policy.model_copy(update={"rules": tuple(rules)}).content())


def _rule_in_order(rule: Rule) -> Rule:
    approval = rule.approval
    if approval is not None:
        accounts = tuple(sorted(approval.service_accounts))
        approval = approval.model_copy(update={"service_accounts": accounts})
    return rule.model_copy(update={"approval": approval, "accept": tuple(sorted(rule.accept))})


def policy_digest(canonical: bytes) -> Digest:
    return digest_of_canonical(TAG, canonical)


def comprehension_depth(expression: str) -> int:
    """How deep comprehensions stand in each other, counted without strings and comments."""
    bare = _TEXT.sub(" ", expression)
    opening = {bare.index("(", match.start()) for match in _COMPREHENSION.finditer(bare)}
    stack: list[bool] = []
    deepest = 0
    for at, char in enumerate(bare):
        if char in "([{":
            stack.append(at in opening)
            deepest = max(deepest, sum(stack))
        elif char in ")]}" and stack:
            stack.pop()
    return deepest


def _bound_faults(policy: PolicyDocument) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, rule in enumerate(policy.rules):
        place = f"/rules/{index}"
        if rule.id in seen:
            yield Fault(pointer=f"{place}/id", message=f"The rule {rule.id!r} is there twice.")
        seen.add(rule.id)
        if len(rule.when.encode()) > MAX_RULE_BYTES:
            yield Fault(
                pointer=f"{place}/when", message=f"A rule has at most {MAX_RULE_BYTES} bytes."
            )
        elif comprehension_depth(rule.when) > MAX_NESTING:
            yield Fault(
                pointer=f"{place}/when",
                message=f"all, exists, map and filter stand at most {MAX_NESTING} deep.",
            )
        demands = rule.effect is Effect.REQUIRE_APPROVAL
        if demands != (rule.approval is not None):
            yield Fault(
                pointer=f"{place}/approval",
                message="'approval' goes with effect 'require_approval', and only with it.",
            )
        if rule.accept and rule.effect is Effect.DENY:
            yield Fault(pointer=f"{place}/accept", message="A rule that denies accepts nothing.")
