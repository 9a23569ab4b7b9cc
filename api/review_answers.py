"""One review document in the form that was asked for: JSON, plain text, or a page."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from animus.domain.review_pages import POLICY, write_page
from animus.domain.review_texts import write_text
from animus.services.review_notes import notes_of
from animus.services.reviews import ReviewView
from api.schemas.reviews import ReviewOut

JSON, TEXT, PAGE = "application/json", "text/plain", "text/html"
FORMS = (JSON, TEXT, PAGE)
SAFE = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {"content": {form: {"schema": {"type": "string"}} for form in (TEXT, PAGE)}}
}


def answer(request: Request, view: ReviewView) -> Response:
    form = preferred(request.headers.get("accept", ""))
    if form == TEXT:
        return _response(write_text(view.sealed, notes_of(view)), form)
    if form == PAGE:
        return _response(write_page(view.sealed, notes_of(view)), form)
    return _response(ReviewOut.of(view).model_dump_json(), form)


def preferred(accept: str) -> str:
    """The form with the largest weight (RFC 9110 section 12.5.1); JSON where none is named."""
    weights = {media: weight for media, weight in map(_weighed, accept.split(",")) if weight > 0}
    named = [form for form in FORMS if form in weights]
    return max(named, key=lambda form: weights[form], default=JSON)


def _weighed(part: str) -> tuple[str, float]:
    media, *parameters = (word.strip().lower() for word in part.split(";"))
    said = next((word[2:] for word in parameters if word.startswith("q=")), "1")
    try:
        return media, float(said)
    except ValueError:
        return media, 0.0


def _response(content: str, form: str) -> Response:
    return Response(content.encode(), media_type=f"{form}; charset=utf-8", headers=SAFE)
