"""What fetch, latch and collect leave behind: a JSON report each, read strictly."""

from __future__ import annotations

import json
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from animus.domain.documents import Bool, DigestText, Int, Name, Text
from animus.domain.runs import FailureClass
from animus.domain.work_orders import MAX_OUTPUTS, Failure, ResultOutput

FETCH_REPORT = "fetch.json"
COLLECT_REPORT = "collect.json"
COLLECT_REQUEST = "collect-request.json"
LOG = "main.log"


class _Part(BaseModel):
    """The SDK may say more in a later version; what it says of these must be as expected."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _Trouble(_Part):
    failure_class: Annotated[
        Literal["user", "data", "environment", "platform"], Field(alias="class")
    ]
    code: Name
    message: Text

    def failure(self) -> Failure:
        return Failure(
            failure_class=FailureClass(self.failure_class), code=self.code, message=self.message
        )


class _Stored(_Part):
    sha256: DigestText
    size: Annotated[Int, Field(ge=0)]


class _Output(_Stored):
    name: Name
    kind: Literal["file", "manifest"]


_Bytes = Annotated[Int, Field(ge=0)]


class FetchReport(_Part):
    ok: Bool
    failure: _Trouble | None = None
    total_bytes: _Bytes | None = None


class LatchReport(_Part):
    ok: Bool
    failure: _Trouble | None = None


class CollectReport(_Part):
    ok: Bool
    outputs: Annotated[tuple[_Output, ...], Field(max_length=MAX_OUTPUTS)] = ()
    missing: tuple[Name, ...] = ()
    log: _Stored | None = None
    failure: _Trouble | None = None
    total_bytes: _Bytes | None = None

    def results(self) -> tuple[ResultOutput, ...]:
        return tuple(
            ResultOutput(name=each.name, kind=each.kind, sha256=each.sha256, size=each.size)
            for each in self.outputs
        )


R = TypeVar("R", bound=_Part)


def read_report(kind: type[R], content: bytes | None) -> R | None:
    """None where there is no report, or none that can be read."""
    try:
        return kind.model_validate_json(content) if content is not None else None
    except ValidationError:
        return None


def collect_request(
    outputs: list[dict[str, object]],
    *,
    exit_code: int | None,
    max_total_bytes: int,
    has_log: bool,
) -> bytes:
    return json.dumps(
        {
            "outputs": outputs,
            "main_exit_code": exit_code,
            "max_total_bytes": max_total_bytes,
            "log": {"path": LOG} if has_log else None,
        }
    ).encode()
