"""Problem documents of the gateway (RFC 9457) as errors; also answers that are none."""

from __future__ import annotations

import json
from typing import Any

import httpx

from animus_sdk.errors import AnswerUnfit, ApiError, Fault


def error_of(response: httpx.Response, *, hint: str = "") -> ApiError:
    """The refusal behind a status of 400 and more; `hint` is what is known of it on this side."""
    document = _document(response)
    if document is None:
        return _unexplained(response)
    said = " ".join(filter(None, (_text(document, "detail") or response.reason_phrase, hint)))
    return ApiError(
        said,
        code=_text(document, "code") or f"http_{response.status_code}",
        status=response.status_code,
        request_id=_text(document, "request_id"),
        errors=tuple(_fault(one) for one in document.get("errors") or () if isinstance(one, dict)),
        retryable=document.get("retryable") is True,
        document={**document, "detail": said} if hint else document,
    )


def body_of(response: httpx.Response) -> Any:
    """The JSON of a success."""
    try:
        return response.json()
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise AnswerUnfit(
            f"What answered with {response.status_code} is no Animus gateway: this is not JSON."
            " Check the gateway's URL."
        ) from None


def _document(response: httpx.Response) -> dict[str, Any] | None:
    try:
        document = response.json()
    except (UnicodeDecodeError, json.JSONDecodeError):
        return None
    return document if isinstance(document, dict) and "code" in document else None


def _unexplained(response: httpx.Response) -> ApiError:
    status = response.status_code
    return ApiError(
        f"Something answered {status} {response.reason_phrase} without saying why. Check the"
        " gateway's URL, and what stands between it and you.",
        code=f"http_{status}",
        status=status,
        retryable=status in (429, 502, 503, 504),
    )


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _fault(document: dict[str, Any]) -> Fault:
    return Fault(
        pointer=_text(document, "pointer"),
        message=_text(document, "message"),
        code=_text(document, "code"),
    )
