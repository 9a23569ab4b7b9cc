"""An open attempt that talks: its lines go the way on which an agent hands them on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import httpx

from tests.sdk.drivers import OpenAttempt
from tests.sdk.platforms import Platform
from tests.support.waiting import PATIENCE

BEGIN = "2026-01-02T01:04:05"


def line(number: int, text: str = "", stream: str = "out") -> bytes:
    return f"{BEGIN}.{number:03}Z {stream} {text or f'line {number}'}\n".encode()


@dataclass(slots=True, kw_only=True)
class Talk:
    """An open attempt whose lines the test says, as its agent hands them on."""

    platform: Platform
    run_id: str
    step: str
    attempt: OpenAttempt
    log: bytes = b""
    claimed: Mapping[str, Any] = field(repr=False)

    def say(self, *lines: bytes) -> None:
        body = b"".join(lines)
        chunk = {
            "attempt_id": self.attempt.id,
            "offset": len(self.log),
            "size": len(body),
            "sha256": "sha256:" + sha256(body).hexdigest(),
        }
        said = self._post("/agent/live-logs:place", self.platform.tokens["agent"], chunks=[chunk])
        (place,) = said["places"]
        httpx.put(
            place["url"], headers=place["headers"], content=body, timeout=PATIENCE
        ).raise_for_status()
        self.log += body

    def end(self, *, is_tried_again: bool = False) -> None:
        """It fails, with its log in the store."""
        stored = {"sha256": "sha256:" + sha256(self.log).hexdigest(), "size": len(self.log)}
        said = self._post("/attempt/uploads", self.claimed["attempt_token"], objects=[stored])
        for upload in said["uploads"]:
            put = httpx.put(
                upload["url"], headers=upload["headers"], content=self.log, timeout=PATIENCE
            )
            put.raise_for_status()
        failure = {
            "failure_class": "user" if is_tried_again else "data",
            "code": "exit_code",
            "message": "Exit code 1.",
        }
        self.platform.driver.close_attempt(
            self.platform.project_id, self.attempt, outcome="failed", log=stored, failure=failure
        )
        self.platform.driver.integrate()

    def _post(self, path: str, token: str, **body: object) -> Any:
        answer = httpx.post(
            f"{self.platform.url}/api/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=PATIENCE,
        )
        answer.raise_for_status()
        return answer.json()


def begin(platform: Platform, run_id: str, step: str = "train") -> Talk:
    attempt = platform.driver.open_attempt(platform.project_id, run_id, step)
    platform.driver.integrate()
    return Talk(
        platform=platform,
        run_id=run_id,
        step=step,
        attempt=attempt,
        claimed=platform.claim(attempt),
    )
