"""Callers of the api, by token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx


class CallRefused(Exception):
    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    http: httpx.AsyncClient
    token: str

    async def get(self, path: str) -> Any:
        return await self._call("GET", path, None)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return await self._call("POST", path, body or {})

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        answer = await self.http.request(
            method, f"/api/v1{path}", json=body, headers={"Authorization": f"Bearer {self.token}"}
        )
        if answer.is_error:
            problem = answer.json()
            raise CallRefused(answer.status_code, problem["code"], str(problem))
        return answer.json()
