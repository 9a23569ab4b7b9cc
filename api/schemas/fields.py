"""The kinds of field that bodies are made of: digests, names, durations; and their base classes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    StringConstraints,
    WithJsonSchema,
)

from animus.domain import patterns
from animus.domain.digests import Digest, format_digest, parse_digest
from animus.domain.errors import Invalid

_DIGEST_SCHEMA = WithJsonSchema({"type": "string", "pattern": patterns.DIGEST})


def _digest(value: Any) -> Digest:
    if not isinstance(value, str):
        raise ValueError(patterns.READABLE[patterns.DIGEST])
    try:
        return parse_digest(value)
    except Invalid as error:
        raise ValueError(error.message) from None


DigestIn = Annotated[bytes, BeforeValidator(_digest), _DIGEST_SCHEMA]
DigestOut = Annotated[
    bytes, Strict(), PlainSerializer(format_digest, return_type=str), _DIGEST_SCHEMA
]
Name = Annotated[str, StringConstraints(pattern=patterns.NAME)]
Sentence = Annotated[str, StringConstraints(max_length=2_000)]
PageLimit = Annotated[int, Field(ge=1, le=500)]
MediaType = Annotated[str, StringConstraints(pattern=patterns.MEDIA_TYPE)]
StepName = Annotated[str, Path(pattern=patterns.NAME)]
AttemptNumber = Annotated[int, Path(ge=1, le=10_000)]
ObjectSize = Annotated[int, Field(ge=0, le=5 * 1024**3, strict=True)]


class Body(BaseModel):
    """What a caller sends: closed, so that a mistyped key is refused and not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class View(BaseModel):
    """What a caller gets, built from a service's result by attribute."""

    model_config = ConfigDict(from_attributes=True, frozen=True)
