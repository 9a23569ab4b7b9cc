"""The agent's client of the api: shows a work order, gets the work, asks what is over."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Collection, Set
from pathlib import Path
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from animus.agent.orders import ClaimedWork
from animus.domain.canonical import JsonObject
from animus.domain.digests import Digest, format_digest
from animus.domain.errors import Forbidden, Unavailable
from animus.domain.ids import AttemptId, ProjectId, RunId
from animus.domain.pipelines import SecretReference
from animus.domain.work_orders import OrderRefused

CLAIM_PATH = "/api/v1/agent/attempts:claim"
SETTLED_PATH = "/api/v1/agent/attempts:settled"
SECRET_ACCESSES_PATH = "/api/v1/agent/secret-accesses"
REMOVALS_PATH = "/api/v1/agent/removals"
HEARTBEATS_PATH = "/api/v1/agent/heartbeats"
UPLOADS_PATH = "/api/v1/attempt/uploads"
MAX_ASKED = 1_000
"""Attempts in one question: as many as the api takes."""
PATIENCE = 15.0
"""Seconds for one request; Temporal tries again."""
STORE_PATIENCE = 60.0
CALLS_AT_ONCE = 8
"""Of the api, and as many of the store: thousands of attempts that begin together wait here for
each other. The api would turn them away, and httpx walks all that wait for a connection each time
that one is free."""
CHUNK = 1024**2
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


class _Settled(BaseModel):
    model_config = ConfigDict(extra="ignore")

    settled: frozenset[UUID]


class _Upload(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    url: str
    headers: dict[str, str]


class _Uploads(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    uploads: tuple[_Upload, ...]


class _TokenRefused(Exception):
    """The credential is good no more."""


class Gateway:
    def __init__(self, url: str, *, token_file: Path) -> None:
        self._token_file = token_file
        self._places = asyncio.Semaphore(CALLS_AT_ONCE)
        self._store_places = asyncio.Semaphore(CALLS_AT_ONCE)
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(PATIENCE, pool=None),
            trust_env=False,
        )
        self._store = httpx.AsyncClient(
            timeout=httpx.Timeout(STORE_PATIENCE, pool=None), trust_env=False
        )

    async def claim(self, order: bytes, signature: bytes) -> ClaimedWork:
        """Raises `OrderRefused` for good, `Unavailable` for everything that may be mended."""
        body = {"order": b64encode(order).decode(), "signature": b64encode(signature).decode()}
        answer = await self._post(CLAIM_PATH, body, self._headers())
        if answer.status_code == httpx.codes.OK:
            return _read_claim(answer.content)
        raise _refusal(answer, "The api does not give the work now.")

    async def find_settled(self, attempt_ids: Collection[AttemptId]) -> Set[AttemptId]:
        """Those that are not open: their outcome is recorded, or nobody knows them."""
        found: set[AttemptId] = set()
        asked = sorted(attempt_ids)
        for begin in range(0, len(asked), MAX_ASKED):
            some = asked[begin : begin + MAX_ASKED]
            body: JsonObject = {"attempt_ids": [str(each) for each in some]}
            content = await self.ask_as_agent(SETTLED_PATH, body)
            try:
                found |= {AttemptId(each) for each in _Settled.model_validate_json(content).settled}
            except ValidationError:
                raise Unavailable("The api's answer about attempts can't be read.") from None
        return found

    async def send_heartbeat(self, version: str) -> None:
        """Raises `Forbidden` where no other would be taken either, `Unavailable` otherwise.

        Waits for no other call: an agent with much to do is not away.
        """
        answer = await self._post_now(HEARTBEATS_PATH, {"version": version}, self._headers())
        if answer.status_code == httpx.codes.OK:
            return
        code, message = _problem(answer)
        if answer.status_code == httpx.codes.FORBIDDEN:
            raise Forbidden(message)
        raise Unavailable(
            "The api does not take the agent's sign of life.",
            detail=f"{answer.status_code} {code}: {message}",
        )

    async def record_removal(self, what: str) -> None:
        """What the agent is about to remove, into the audit log."""
        await self.ask_as_agent(REMOVALS_PATH, {"removed": what})

    async def record_secret_access(
        self, order_digest: Digest, references: tuple[SecretReference, ...]
    ) -> None:
        """Raises `OrderRefused` for good, `Unavailable` for everything that may be mended."""
        body: JsonObject = {
            "order_digest": format_digest(order_digest),
            "secrets": [one.content() for one in references],
        }
        answer = await self._post(SECRET_ACCESSES_PATH, body, self._headers())
        if answer.status_code != httpx.codes.OK:
            raise _refusal(answer, "The api does not record the access to secrets now.")

    async def store_log(self, attempt_token: str, file: Path, sha256: str, size: int) -> bool:
        """The file into the object store, with the attempt's own rights; False where they are over.

        `sha256` is the file's, and the store refuses other bytes.
        """
        headers = {"Authorization": f"Bearer {attempt_token}"}
        body: JsonObject = {"objects": [{"sha256": sha256, "size": size}]}
        try:
            content = await self._ask(UPLOADS_PATH, body, headers)
        except _TokenRefused:
            return False
        try:
            uploads = _Uploads.model_validate_json(content).uploads
        except ValidationError:
            raise Unavailable("The api's answer about uploads can't be read.") from None
        for upload in uploads:  # none where the store has it
            await self._put(upload, file)
        return True

    async def ask_as_agent(self, path: str, body: JsonObject) -> bytes:
        """The answer's content. Raises `Unavailable` for every answer but a good one."""
        try:
            return await self._ask(path, body, self._headers())
        except _TokenRefused:
            raise Unavailable("The api does not take the agent's token.") from None

    async def close(self) -> None:
        await self._client.aclose()
        await self._store.aclose()

    async def _ask(self, path: str, body: JsonObject, headers: dict[str, str]) -> bytes:
        answer = await self._post(path, body, headers)
        if answer.status_code == httpx.codes.OK:
            return answer.content
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise _TokenRefused
        code, message = _problem(answer)
        raise Unavailable(
            "The api does not answer the agent.", detail=f"{answer.status_code} {code}: {message}"
        )

    async def _post(self, path: str, body: JsonObject, headers: dict[str, str]) -> httpx.Response:
        async with self._places:
            return await self._post_now(path, body, headers)

    async def _post_now(
        self, path: str, body: JsonObject, headers: dict[str, str]
    ) -> httpx.Response:
        try:
            return await self._client.post(path, json=body, headers=headers)
        except httpx.TransportError as error:
            raise Unavailable("The api is not answering.", detail=repr(error)) from None

    async def _put(self, upload: _Upload, file: Path) -> None:
        try:
            async with self._store_places:
                answer = await self._store.put(
                    upload.url, headers=upload.headers, content=_chunks(file)
                )
        except httpx.TransportError as error:
            raise Unavailable("The object store is not answering.", detail=repr(error)) from None
        if answer.is_error and answer.status_code != httpx.codes.PRECONDITION_FAILED:
            raise Unavailable(
                "The object store does not take the log.", detail=str(answer.status_code)
            )

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


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while chunk := await asyncio.to_thread(source.read, CHUNK):
            yield chunk


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


def _refusal(answer: httpx.Response, otherwise: str) -> OrderRefused | Unavailable:
    code, message = _problem(answer)
    if answer.status_code == httpx.codes.FORBIDDEN and code in _REFUSALS:
        return OrderRefused(message)
    return Unavailable(otherwise, detail=f"{answer.status_code} {code}: {message}")


def _problem(answer: httpx.Response) -> tuple[str, str]:
    """Code and message of a problem document, if it is one."""
    try:
        document = answer.json()
        return str(document["code"]), str(document.get("detail", ""))[:500]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", "no problem document"
