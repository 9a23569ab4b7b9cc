"""The one error tree of the SDK. Every message says what to do, and holds no token and no URL.

AnimusError
├── SettingsUnfit      a settings file, a variable or an argument does not do
├── NotSignedIn        there is no token for this gateway
├── NotInStep          this works inside a step that has `telemetry: true` only
├── Unreachable        nothing answered; the same may work later
│   ├── OutcomeUnknown the answer was lost, and twice would be an error: look first
│   └── CertificateRefused  who answers does not prove by TLS who it is
├── ApiError           the gateway refused, with a problem document
├── AnswerUnfit        the gateway answered something that this version does not understand
├── FileUnfit          a file or directory here cannot be used as it is
├── TransferFailed     bytes did not arrive as they were announced
└── SourceError        see animus_sdk.source
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

TYPE_PREFIX = "urn:animus:error:"


class AnimusError(Exception):
    """Base of everything that the SDK raises on purpose; `code` is stable."""

    default_code: ClassVar[str] = "failed"
    retryable: bool = False

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code

    def problem(self) -> dict[str, Any]:
        """The error as a problem document (RFC 9457), as the gateway writes them."""
        return {
            "type": TYPE_PREFIX + self.code,
            "title": self.code.replace("_", " ").capitalize(),
            "detail": self.message,
            "code": self.code,
            "error": self.code,
            "retryable": self.retryable,
        }


class SettingsUnfit(AnimusError):
    default_code = "settings_unfit"


class NotSignedIn(AnimusError):
    default_code = "not_signed_in"


class NotInStep(AnimusError):
    default_code = "not_in_step"


class Unreachable(AnimusError):
    default_code = "unreachable"
    retryable = True


class OutcomeUnknown(Unreachable):
    default_code = "outcome_unknown"
    retryable = False


class CertificateRefused(Unreachable):
    default_code = "certificate_refused"
    retryable = False


class AnswerUnfit(AnimusError):
    default_code = "answer_unfit"


class FileUnfit(AnimusError):
    default_code = "file_unfit"


class TransferFailed(AnimusError):
    default_code = "transfer_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong in what was sent: where (a JSON pointer), what, and a stable code."""

    pointer: str
    message: str
    code: str


class ApiError(AnimusError):
    """The gateway's refusal: HTTP status, stable code, and the places that are wrong."""

    default_code = "http_error"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int,
        request_id: str = "",
        errors: Sequence[Fault] = (),
        retryable: bool = False,
        document: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.request_id = request_id
        self.errors = tuple(errors)
        self.retryable = retryable
        self._document = document

    def problem(self) -> dict[str, Any]:
        if self._document is not None:
            return dict(self._document)
        return {**super().problem(), "status": self.status, "request_id": self.request_id}
