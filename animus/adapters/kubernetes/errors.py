"""How a call of Kubernetes' api can end, other than with what was asked for."""

from __future__ import annotations

import json

from animus.domain.errors import Unavailable

NO_QUOTA = "exceeded quota"
"""In the api server's sentence: the status and the reason are those of a refusal for good."""
_SAID = 300


class ClusterUnavailable(Unavailable):
    code = "cluster_unavailable"


class ListExpired(Exception):
    """The api server has forgotten what a watch wanted to go on from (410 Gone)."""


class NotAdmitted(Exception):
    """The cluster refuses an object for good: by admission or by validation."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class NotAllowed(Exception):
    """The agent's account has no right to what it asks for."""


class NoQuota(Exception):
    """The namespace's quota has no room for an object now."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


class Refusal(ClusterUnavailable):
    """An answer that is none of what was asked for; what it means, only some callers know."""

    def __init__(self, status: int, content: bytes) -> None:
        self.status = status
        self.said, self.reason = _said(content)
        super().__init__(
            "The cluster does not do what the agent asks.", detail=f"{status} {self.said}"
        )


def _said(content: bytes) -> tuple[str, str]:
    """The api server's own words, and its word for the reason."""
    try:
        status = json.loads(content)
        return str(status["message"])[:_SAID], str(status.get("reason") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return content[:_SAID].decode(errors="replace"), ""
