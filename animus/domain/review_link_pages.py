"""The pages around a review that a link shows once: its door, and what is there afterwards."""

from __future__ import annotations

from base64 import b64encode
from html import escape

from animus.domain.digests import sha256

_STYLE = """
body { margin: 3rem auto; max-width: 40rem; padding: 0 1rem; color: #111; background: #fff;
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
button { font: inherit; padding: .5rem 1rem; } code { font-family: monospace; }
"""
_STYLE_HASH = b64encode(sha256(_STYLE.encode())).decode()
DOOR_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'self'"
)
"""Content Security Policy of these pages: nothing but the form, to where it came from."""


def write_door() -> str:
    """A button: opening the link shows nothing and uses nothing up, as mail filters open it too."""
    return _page(
        "Review",
        "<p>This link shows the review once. Then it is used up.</p>"
        '<form method="post"><button type="submit">Show the review</button></form>'
        "<p>It is to look at only: nobody decides here.</p>",
    )


def write_over(gate_id: str) -> str:
    return _page(
        "This link is over",
        "<p>It was used, has expired, or was replaced by that of a later mail. Sign in and see the"
        f" review on the command line:</p><p><code>animus approvals show {escape(gate_id)}</code>"
        "</p><p>If it was not you who used it, tell your administrators: somebody else has read"
        " your mail.</p>",
    )


def write_unknown() -> str:
    return _page(
        "No such link",
        "<p>There is no such link here. Copy all of it from the mail, or see the review on the"
        " command line: <code>animus approvals</code></p>",
    )


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(DOOR_POLICY)}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>"
        f"{body}</main></body></html>\n"
    )
