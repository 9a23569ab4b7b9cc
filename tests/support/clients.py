"""A client of the api in process, and one of the object store over the network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from tests.support.platforms import Member

PREFIX = "/api/v1"
BESIDE = ("/healthz", "/readyz", "/metrics")
"""What has no prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Speaks to the api as whoever is given; `outside` uses presigned URLs."""

    http: httpx.AsyncClient
    outside: httpx.AsyncClient

    async def send(
        self,
        method: str,
        path: str,
        member: Member | None = None,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """`path` may leave the api's prefix out."""
        said = dict(member.headers if member else {}) | dict(headers or {})
        if content is not None:
            said.setdefault("content-type", "application/json")
            return await self.http.request(method, _full(path), headers=said, content=content)
        return await self.http.request(method, _full(path), headers=said, json=body)

    async def get(self, path: str, member: Member | None = None, **query: Any) -> Any:
        """The body of a successful answer."""
        response = await self.http.get(
            _full(path), headers=member.headers if member else {}, params=query
        )
        assert response.status_code == 200, response.text
        return response.json()

    async def post(
        self, path: str, member: Member | None = None, body: Any = None, **headers: str
    ) -> Any:
        """The body of a successful answer; keywords are headers (`_` for `-`)."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await self.send("POST", path, member, body, headers=named)
        assert response.status_code in (200, 201, 202), response.text
        return response.json()

    async def refused(
        self, status: int, path: str, member: Member | None = None, body: Any = None,
        *, method: str = "POST", **headers: str,
    ) -> Any:  # fmt: skip
        """The problem document of a request that must be refused with `status`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await self.send(method, path, member, body, headers=named)
        return problem_of(response, status)

    async def upload(self, upload: Mapping[str, Any], content: bytes) -> None:
        """Use an upload as the api gave it."""
        response = await self.outside.put(upload["url"], headers=upload["headers"], content=content)
        assert response.status_code == 200, response.text


def problem_of(response: httpx.Response, status: int) -> Any:
    """The problem document of an answer, after its form was checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["error"] == problem["code"]
    assert problem["type"] == f"urn:animus:error:{problem['code']}"
    assert problem["request_id"] == response.headers["x-request-id"]
    assert isinstance(problem["retryable"], bool)
    assert problem["detail"]
    return problem


def _full(path: str) -> str:
    return path if path.startswith((PREFIX, *BESIDE)) else PREFIX + path


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[Client]:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://animus.test", timeout=60) as http,
        httpx.AsyncClient(trust_env=False, timeout=60) as outside,
    ):
        yield Client(http=http, outside=outside)
