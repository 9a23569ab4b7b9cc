"""What started a run, such as a CI job: a claim of its client, outside every digest."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, StringConstraints

from animus.domain import patterns
from animus.domain.documents import Name, SparseDocument

MAX_URL = 2_000
_FIRST, _LAST = "!", "~"  # of printable ASCII: a URL has nothing else


def _web_address(text: str) -> str:
    if not all(_FIRST <= character <= _LAST for character in text) or "\\" in text:
        raise ValueError("A link has printable ASCII characters only, and no backslash.")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("A link begins with http:// or https:// and a host.")
    if "@" in parts.netloc:
        raise ValueError("Leave user name and password out of the link.")
    return text


WebAddress = Annotated[str, StringConstraints(max_length=MAX_URL), AfterValidator(_web_address)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Trigger(SparseDocument):
    system: Name
    """Such as `github`, `gitlab` or `jenkins`."""
    repository: WebAddress | None = None
    commit: Annotated[str, StringConstraints(pattern=patterns.COMMIT)] | None = None
    ref: Words | None = None
    """Branch or tag, or what the system calls the merge request."""
    pipeline_url: WebAddress | None = None
    job: Words | None = None
    actor: Words | None = None
    """Who made the system start it, by the system's own name for them."""
