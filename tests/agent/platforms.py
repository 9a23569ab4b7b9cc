"""A control plane for the agent's tests: the real api on its real servers, and its worker's part.

Runs are moved by the services that the worker's activities call, so that a test says when an
attempt is opened, and whether what the agent answers is accepted.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import httpx

from animus.adapters.object_store import S3ObjectStore
from animus.adapters.rules.judge import ProcessRuleJudge
from animus.domain.canonical import JsonObject
from animus.domain.ids import AttemptId, ProjectId, RunId
from animus.domain.work_orders import AttemptResult
from animus.ports import Signer
from animus.services import attempts, registration, run_phases
from animus.services.calls import Call
from animus.services.registration import Answer, Closed
from animus.store.database import Database
from tests.support.documents import explicit_pipeline

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An open attempt, as the workflow hands it to the agent."""

    order: bytes
    signature: bytes = field(repr=False)
    attempt_id: AttemptId
    run_id: RunId
    project_id: ProjectId
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    url: str
    database: Database = field(repr=False)
    judge: ProcessRuleJudge = field(repr=False)
    store: S3ObjectStore = field(repr=False)
    control: Signer = field(repr=False)
    client: httpx.AsyncClient = field(repr=False)
    """The engineer, at the project's part of the api."""
    project_id: ProjectId
    neighbour_id: ProjectId
    """Of another project of the same engineer."""
    cluster: str
    """Where runs go."""

    async def open_attempt(
        self, *steps: JsonObject, edges: Sequence[tuple[str, str]] = (), **run: Any
    ) -> Order:
        """A new run of these steps, and the first attempt of the first of them."""
        run_id = await self.submit(*steps, edges=edges, **run)
        return await self.open_step(run_id, steps[0]["name"])

    async def submit(
        self, *steps: JsonObject, edges: Sequence[tuple[str, str]] = (), **run: Any
    ) -> RunId:
        """A run that is running."""
        pipeline = explicit_pipeline(*steps, edges=edges)
        body = {"pipeline": pipeline, "cluster": self.cluster, **run}
        answer = await self.client.post("/runs", json=body)
        assert answer.status_code == 201, answer.text
        run_id = RunId(UUID(answer.json()["id"]))
        async with self.database.write() as uow:
            await run_phases.plan_run(uow, _call(), self.project_id, run_id, judge=self.judge)
        async with self.database.write() as uow:
            found = await run_phases.revalidate_run(
                uow, _call(), self.project_id, run_id, judge=self.judge
            )
        assert found.state == "running", found
        return run_id

    async def open_step(self, run_id: RunId, step: str) -> Order:
        async with self.database.write() as uow:
            opened = await attempts.open_attempt(
                uow, _call(), self.project_id, run_id, step=step, signer=self.control
            )
        assert opened.attempt_id is not None, opened
        return Order(
            order=opened.order,
            signature=opened.signature,
            attempt_id=opened.attempt_id,
            run_id=run_id,
            project_id=self.project_id,
            step=step,
        )

    async def close_attempt(self, order: Order, document: bytes, signature: bytes) -> Closed:
        """As the workflow does with the agent's answer: verified, compared with the store, kept."""
        return await self._close(order, Answer(result=document, signature=signature))

    async def close_stopped(self, order: Order, document: bytes, signature: bytes) -> Closed:
        """The same with the agent's receipt."""
        return await self._close(order, Answer(receipt=document, signature=signature))

    async def cancel(self, order: Order) -> None:
        answer = await self.client.post(f"/runs/{order.run_id}:cancel", json={"reason": "a test"})
        assert answer.status_code < 300, answer.text

    async def push_dataset(self, files: Mapping[str, bytes]) -> str:
        """A dataset version of these files; its dataset's name."""
        name = f"data-{next(_numbers)}"
        dataset = (await self.client.post("/datasets", json={"name": name})).json()
        manifest = {
            "files": [
                {"path": path, "sha256": digest_of(content), "size": len(content)}
                for path, content in files.items()
            ]
        }
        declared = await self.client.post(
            f"/datasets/{dataset['id']}/uploads", json={"manifest": manifest}
        )
        assert declared.status_code == 201, declared.text
        by_digest = {digest_of(content): content for content in files.values()}
        await self._put(declared.json()["uploads"], by_digest)
        committed = await self.client.post(f"/dataset-uploads/{declared.json()['id']}:commit")
        assert committed.status_code == 201, committed.text
        return name

    async def push_source(self, pack: bytes, commit: str, object_format: str) -> JsonObject:
        """A proved source; what a run says of its code."""
        said = {
            "pack_sha256": digest_of(pack), "size": len(pack), "commit": commit,
            "object_format": object_format, "path": "",
        }  # fmt: skip
        declared = await self.client.post("/source-uploads", json=said)
        assert declared.status_code == 201, declared.text
        if declared.json()["source"] is None:  # else it was proved before
            await self._put([declared.json()["upload"]], {digest_of(pack): pack})
            committed = await self.client.post(f"/source-uploads/{declared.json()['id']}:commit")
            assert committed.status_code == 201, committed.text
        return {
            "repo_url": "https://git.example/team/model", "commit": commit, "path": "",
            "object_format": object_format, "state": "proved", "pack_sha256": digest_of(pack),
        }  # fmt: skip

    async def read_object(self, digest: str) -> bytes:
        """The newest bytes under a digest, from the store itself."""
        raw = bytes.fromhex(digest.removeprefix("sha256:"))
        found = await self.store.find_object(self.project_id, raw)
        assert found is not None, f"the store lacks {digest}"
        assert found.version_id is not None
        return await self.store.get_bytes(
            self.project_id, raw, version_id=found.version_id, limit=128 * 1024**2
        )

    async def read_log(self, result: AttemptResult) -> str:
        assert result.log is not None, result
        return (await self.read_object(result.log.sha256)).decode()

    async def _close(self, order: Order, answer: Answer) -> Closed:
        return await registration.close_attempt(
            self.database, _call(), order.project_id, order.attempt_id, answer,
            run_id=order.run_id, store=self.store,
        )  # fmt: skip

    async def _put(self, uploads: Sequence[JsonObject], contents: Mapping[str, bytes]) -> None:
        async with httpx.AsyncClient(trust_env=False) as store:
            for upload in uploads:
                content = contents[upload["sha256"]]
                put = await store.put(upload["url"], headers=upload["headers"], content=content)
                assert put.status_code == 200, put.text


def digest_of(content: bytes) -> str:
    return "sha256:" + sha256(content).hexdigest()


def _call() -> Call:
    return Call(actor=None, request_id="agent-tests", now=datetime.now(UTC))
