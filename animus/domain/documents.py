"""What every document of the domain has in common: frozen, closed, decoded with places.

A document is what people write and what is hashed: pipeline, environment lock, policy, run spec.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    Strict,
    StringConstraints,
    ValidationError,
    model_serializer,
)
from pydantic_core import ErrorDetails

from animus.domain import patterns
from animus.domain.canonical import JsonObject, pointer_token
from animus.domain.errors import Fault, InvalidDocument
from animus.domain.fault_words import words_of, written_at

Name = Annotated[str, StringConstraints(pattern=patterns.NAME)]
Text = Annotated[str, StringConstraints(max_length=2_000)]
DigestText = Annotated[str, StringConstraints(pattern=patterns.DIGEST)]
Int = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Bool = Annotated[bool, Strict()]


class Document(BaseModel):
    """Base of documents. Unknown keys are refused, values never change type on the way in."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        serialize_by_alias=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )

    def content(self) -> JsonObject:
        """The document as the JSON value that is canonicalised, hashed and shown."""
        return self.model_dump(mode="json")


class SparseDocument(Document):
    """A document with fields that may be absent. Apart from others, since this is what costs."""

    @model_serializer(mode="wrap")
    def _without_absent(self, serialize: SerializerFunctionWrapHandler) -> JsonObject:
        """What is absent is left out, wherever the document is written: its digest shows it."""
        written: JsonObject = serialize(self)
        return {key: value for key, value in written.items() if value is not None}


D = TypeVar("D", bound=BaseModel)


def decode_document(model: type[D], value: object, *, what: str) -> D:
    """Read `value` (decoded JSON) as `model`, or raise `InvalidDocument` with every fault."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        faults = tuple(faults_of(errors, model, value))
        raise InvalidDocument(f"This is not a valid {what}.", faults) from None


def faults_of(
    errors: Sequence[ErrorDetails], model: type[BaseModel] | None, value: object
) -> Iterator[Fault]:
    """Faults for pydantic's errors: pointers into `value`, "did you mean" for unknown keys."""
    for error in errors:
        if _is_echo(error, errors):
            continue
        path = tuple(_path(error, value))
        message = words_of(
            error, written=written_at(path, value), known=_siblings(model, error["loc"][:-1])
        )
        pointer = "".join(f"/{pointer_token(str(part))}" for part in path)
        yield Fault(pointer=pointer, message=message, code=error["type"])


def _is_echo(error: ErrorDetails, errors: Sequence[ErrorDetails]) -> bool:
    """A list whose items are wrong is not too short as well: pydantic counts the right ones."""
    here = error["loc"]
    return error["type"] == "too_short" and any(
        len(other["loc"]) > len(here) and other["loc"][: len(here)] == here for other in errors
    )


def _path(error: ErrorDetails, value: object) -> Iterator[int | str]:
    """Where the error is in `value`: without what pydantic adds for keys and for unions."""
    here = value
    for part in error["loc"]:
        if isinstance(here, Mapping) and (part in here or error["type"] == "missing"):
            yield part
            here = here.get(part)
        elif isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
            yield part
            here = here[part]


def _siblings(model: type[BaseModel] | None, path: Sequence[int | str]) -> tuple[str, ...]:
    """The keys that the object at `path` may have, as far as the model's types tell."""
    here = model
    for part in path:
        here = _model_at(here, part)
    if here is None:
        return ()
    return tuple(field.alias or name for name, field in here.model_fields.items())


def _model_at(outer: type[BaseModel] | None, part: int | str) -> type[BaseModel] | None:
    """The model below key `part`; an index or a free key stays within the same collection."""
    if outer is None:
        return None
    for name, field in outer.model_fields.items():
        if part in (name, field.alias):
            return _model_within(field.annotation)
    return outer


def _model_within(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_within(argument) for argument in get_args(annotation))
    return next((model for model in inner if model is not None), None)


def items(limit: int) -> Any:
    """A field that holds a list of at most `limit` items; required, even when empty."""
    return Field(max_length=limit)
