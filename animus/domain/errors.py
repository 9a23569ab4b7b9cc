"""The one error tree of the control plane. Knows nothing of HTTP or Temporal.

    AnimusError
    ├── Unauthenticated            who are you
    │   └── CredentialRefused      the credential is unknown, expired or revoked
    ├── Forbidden                  known, but not allowed
    │   └── SelfApproval           four eyes are two persons
    ├── NotFound                   absent
    │   └── Hidden                 existence is secret to this caller
    ├── Invalid                    the request can never be right
    │   ├── InvalidDocument        with a list of places (JSON pointers)
    │   └── SecretSuspected        a value looks like a credential
    ├── Conflict                   right in itself, but not in the present state
    ├── Gone                       it was there once, and is over
    ├── TooLarge, TooMany          limits
    ├── Refused                    a work order or a result that must not be obeyed
    └── Unavailable                a dependency is away: try again

Each concrete error has a stable `code`; the API maps classes to status, the activities map
them to retryable or not, each in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class AnimusError(Exception):
    """Base of every error that a caller may have to tell apart.

    `message` is fit for the caller and says what to do; `detail` is for the log only.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    is_denial: ClassVar[bool] = False
    """Refused for who asks or what they may: recorded as a denial, in a transaction of its own."""

    def __init__(self, message: str, *, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class Unauthenticated(AnimusError):
    code = "unauthenticated"


class CredentialRefused(Unauthenticated):
    code = "credential_refused"


class Forbidden(AnimusError):
    code = "forbidden"
    is_denial = True


class SelfApproval(Forbidden):
    code = "self_approval"


class NotFound(AnimusError):
    code = "not_found"

    def __init__(self, what: str, name: str, *, detail: str | None = None) -> None:
        super().__init__(
            f"There is no {what} {name!r} here that you may see. Check the id and the project.",
            detail=detail,
        )
        self.what = what


class Hidden(NotFound):
    """It may exist; whoever asks may not even know."""

    is_denial = True


class Invalid(AnimusError):
    code = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong in a document: where (RFC 6901 JSON pointer), what, and a stable code."""

    pointer: str
    message: str
    code: str = "invalid_value"


class InvalidDocument(Invalid):
    """A document with one or more faults, each at a place."""

    code = "invalid_document"

    def __init__(self, message: str, faults: Sequence[Fault]) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


class SecretSuspected(InvalidDocument):
    """Values that look like credentials. Names the places, never the values."""

    code = "secret_suspected"
    is_denial = True


class Conflict(AnimusError):
    code = "conflict"


class Gone(AnimusError):
    code = "gone"


class TooLarge(AnimusError):
    code = "too_large"


class TooMany(AnimusError):
    code = "rate_limited"
    retryable = True

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds after which the same call may succeed."""


class Refused(AnimusError):
    """An instruction or a result whose proof does not hold. Never retried, always recorded."""

    code = "refused"
    is_denial = True


class Unavailable(AnimusError):
    code = "unavailable"
    retryable = True
