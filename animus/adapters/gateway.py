"""The agent's client of the api: shows a work order, gets the work. Nothing else is asked there."""

from __future__ import annotations

from base64 import b64decode, b64encode
from pathlib import Path
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from animus.agent.orders import ClaimedWork
from animus.domain.errors import Unavailable
from animus.domain.ids import AttemptId, ProjectId, RunId
from animus.domain.work_orders import OrderRefused

CLAIM_PATH = "/api/v1/agent/attempts:claim"
PATIENCE = 15.0
"""Seconds for one request; Temporal tries again."""
_REFUSALS = frozenset({OrderRefused.code, "signature_refused"})


class _Claim(BaseModel):
    """The api's answer; what is added to it later does not concern this agent."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    attempt_id: UUID
    run_id: UUID
    project_id: UUID
    assignment: str
    attempt_token: str
    run_token: str | None
    first: bool
    max_log_bytes: int


class Gateway:
    def __init__(self, url: str, *, token_file: Path) -> None:
        self._token_file = token_file
        self._client = httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False)

    async def claim(self, order: bytes, signature: bytes) -> ClaimedWork:
        """Raises `OrderRefused` for good, `Unavailable` for everything that may be mended."""
        body = {"order": b64encode(order).decode(), "signature": b64encode(signature).decode()}
        try:
            answer = await self._client.post(CLAIM_PATH, json=body, headers=self._headers())
        except httpx.TransportError as error:
            raise Unavailable("The api is not answering.", detail=repr(error)) from None
        if answer.status_code == httpx.codes.OK:
            return _read_claim(answer.content)
        code, message = _problem(answer)
        if answer.status_code == httpx.codes.FORBIDDEN and code in _REFUSALS:
            raise OrderRefused(message)
        raise Unavailable(
            "The api does not give the work now.", detail=f"{answer.status_code} {code}: {message}"
        )

    async def close(self) -> None:
        await self._client.aclose()

    def _headers(self) -> dict[str, str]:
        """The token is read each time: it may come later than the agent, or be replaced."""
        try:
            token = self._token_file.read_text().strip()
        except OSError as error:
            raise Unavailable(
                "The agent has no token for the api yet.",
                detail=f"{self._token_file}: {error.strerror}",
            ) from None
        return {"Authorization": f"Bearer {token}"}


def _read_claim(content: bytes) -> ClaimedWork:
    try:
        claim = _Claim.model_validate_json(content)
        assignment = b64decode(claim.assignment, validate=True)
    except (ValidationError, ValueError):
        raise Unavailable("The api's answer to a claim can't be read.") from None
    return ClaimedWork(
        attempt_id=AttemptId(claim.attempt_id),
        run_id=RunId(claim.run_id),
        project_id=ProjectId(claim.project_id),
        assignment=assignment,
        attempt_token=claim.attempt_token,
        run_token=claim.run_token,
        first=claim.first,
        max_log_bytes=claim.max_log_bytes,
    )


def _problem(answer: httpx.Response) -> tuple[str, str]:
    """Code and message of a problem document, if it is one."""
    try:
        document = answer.json()
        return str(document["code"]), str(document.get("detail", ""))[:500]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", "no problem document"
