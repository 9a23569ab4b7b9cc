"""The review document as one HTML page: no script, nothing loaded, all text escaped, printable."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape

from animus.domain.digests import format_digest, sha256
from animus.domain.review_texts import BESIDE, listing_title
from animus.domain.reviews import Item, Listing, SealedReview, Section
from animus.domain.visible_texts import visible

_STYLE = """
:root { color-scheme: light; }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #111; background: #fff;
  font: 16px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; border-bottom: 1px solid #888; }
h3 { font-size: 1rem; margin-bottom: .3rem; }
bdi { white-space: pre-wrap; }
dl { margin: 0 0 1rem; } dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0 0 0 1.5rem; }
del, ins { text-decoration: none; display: block; padding: 0 .3rem; font-family: monospace; }
del { background: #fdd; } del::before { content: "- "; }
ins { background: #dfd; } ins::before { content: "+ "; }
.note, .digest { color: #444; font-size: .9rem; } .digest { font-family: monospace; }
.beside { border: 2px dashed #888; margin-top: 2rem; padding: 0 1rem; }
@media print { body { margin: 0; max-width: none; font-size: 10pt; } dl { break-inside: auto; }
  dt { break-after: avoid; } h2, h3 { break-after: avoid; } .beside { break-before: page; } }
"""
_STYLE_HASH = b64encode(sha256(_STYLE.encode())).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
)
"""Content Security Policy, also inside the page: a saved file has no headers."""


def write_page(sealed: SealedReview, beside: Sequence[Section] = ()) -> str:
    digest = format_digest(sealed.digest)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>Review {digest}</title><style>{_STYLE}</style></head><body><main>",
        f'<h1>Review</h1><p class="digest">review digest {digest}</p>',
        *(_section(f"{n}. {one.title}", one) for n, one in enumerate(sealed.document.sections, 1)),
        "</main>",
    ]
    if beside:
        shown = "".join(_section(one.title, one) for one in beside)
        parts.append(f'<aside class="beside"><p><strong>{BESIDE}</strong></p>{shown}</aside>')
    return "".join([*parts, "</body></html>\n"])


def _section(title: str, section: Section) -> str:
    shown = "".join(_listing(one) for one in section.listings)
    return f"<section><h2>{_text(title)}</h2>{_items(section.items)}{shown}</section>"


def _listing(one: Listing) -> str:
    return f"<h3>{_text(listing_title(one))}</h3>{_items(one.shown)}"


def _items(items: Sequence[Item]) -> str:
    return "<dl>" + "".join("".join(_item(item)) for item in items) + "</dl>" if items else ""


def _item(item: Item) -> Iterator[str]:
    yield f"<dt>{_text(item.label)}</dt>"
    if item.value is not None:
        yield f"<dd>{_text(item.value)}</dd>"
    if item.before is not None:
        yield f"<dd><del>{_text(item.before)}</del></dd>"
    if item.after is not None:
        yield f"<dd><ins>{_text(item.after)}</ins></dd>"
    if item.note is not None:
        yield f'<dd class="note">{_text(item.note)}</dd>'


def _text(text: str) -> str:
    """Isolated: letters of a script that is written from right to left move nothing around them."""
    return f"<bdi>{escape(visible(text))}</bdi>"
