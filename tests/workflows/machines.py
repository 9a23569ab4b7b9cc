"""A machine that steps pretend to run on. It outlives agents, as containers do, and counts starts.

What a step does there is told by its project, step and attempt; outputs go through the api into
the object store as collect would bring them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import httpx

from animus.domain.digests import Digest, format_digest
from animus.domain.ids import AttemptId
from animus.domain.runs import FailureClass
from animus.domain.work_orders import Failure, OrderRefused, ResultOutput
from animus.ports import AttemptEnd, AttemptTask, ExecutionPhase, Executor, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What main does in one attempt; without anything said it succeeds with every output."""

    failure: Failure | None = None
    hangs: bool = False
    """Until it is released, or killed."""
    refused: bool = False
    outputs: Mapping[str, bytes] | None = None
    """None: something for every declared output."""
    claimed_digests: Mapping[str, Digest] = field(default_factory=dict)
    """What the result says of outputs in the place of their real digests; nothing is uploaded."""


SUCCEED = Act()
HANG = Act(hangs=True)
REFUSE = Act(refused=True)


def fail(failure_class: FailureClass = FailureClass.USER, code: str = "exit-code") -> Act:
    return Act(failure=Failure(failure_class=failure_class, code=code, message="It failed."))


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """Main of one attempt."""

    run_id: str
    step: str
    number: int
    started_at: datetime
    released: asyncio.Event
    killed: asyncio.Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Something that happened on the machine, in order."""

    what: str
    run_id: str
    step: str
    number: int


class Machine(Executor):
    def __init__(self, http: httpx.AsyncClient) -> None:
        self.seen: list[Seen] = []
        self._http = http
        self._acts: dict[tuple[str, str], Sequence[Act]] = {}
        self._containers: dict[AttemptId, Container] = {}

    def script(self, project_id: str, **steps: Act | Sequence[Act]) -> None:
        """What the steps of a project's runs do, attempt by attempt; the last act repeats."""
        for step, acts in steps.items():
            self._acts[project_id, step] = (acts,) if isinstance(acts, Act) else acts

    def starts_of(self, run_id: str) -> list[tuple[str, int]]:
        """(step, attempt number) of every main that was started, in order."""
        return [(one.step, one.number) for one in self.seen_of(run_id) if one.what == "started"]

    def seen_of(self, run_id: str) -> list[Seen]:
        return [one for one in self.seen if one.run_id == run_id]

    def running(self, run_id: str) -> list[str]:
        """Steps of a run whose main runs now."""
        return [one.step for one in self._containers.values() if one.run_id == run_id]

    def release(self, run_id: str, step: str | None = None) -> None:
        """Let what hangs go on to its end."""
        for container in self._containers.values():
            if container.run_id == run_id and step in (None, container.step):
                container.released.set()

    async def run(self, task: AttemptTask, /, *, watch: Callable[[Progress], None]) -> AttemptEnd:
        act = self._act(task)
        if act.refused:
            raise OrderRefused("This machine does not want to.")
        container = self._containers.get(task.attempt_id) or self._start(task)
        watch(Progress(phase=ExecutionPhase.MAIN, subject=task.order.step))
        if act.hangs:
            await container.released.wait()
        outputs = await self._collect(task, act)
        return AttemptEnd(
            started_at=container.started_at,
            finished_at=datetime.now(UTC),
            failure=act.failure,
            exit_code=1 if act.failure else 0,
            outputs=outputs,
        )

    async def clear(self, attempt_id: AttemptId, /) -> None:
        container = self._containers.pop(attempt_id, None)
        if container is not None:
            container.killed.set()
            self._note("cleared", container)

    async def sweep(
        self,
        is_known: Callable[[AttemptId], bool],
        announce: Callable[[str], Awaitable[None]],
        /,
    ) -> Sequence[str]:
        return ()

    def _act(self, task: AttemptTask) -> Act:
        acts = self._acts.get((task.order.project_id, task.order.step), (SUCCEED,))
        return acts[min(task.order.attempt, len(acts)) - 1]

    def _start(self, task: AttemptTask) -> Container:
        container = Container(
            run_id=task.order.run_id,
            step=task.order.step,
            number=task.order.attempt,
            started_at=datetime.now(UTC),
            released=asyncio.Event(),
            killed=asyncio.Event(),
        )
        self._containers[task.attempt_id] = container
        self._note("started", container)
        return container

    def _note(self, what: str, container: Container) -> None:
        self.seen.append(
            Seen(what=what, run_id=container.run_id, step=container.step, number=container.number)
        )

    async def _collect(self, task: AttemptTask, act: Act) -> tuple[ResultOutput, ...]:
        if act.failure is not None and act.outputs is None:
            return ()
        contents = act.outputs
        if contents is None:
            declared = task.assignment.step.outputs.artifacts
            contents = {one.name: f"{task.attempt_id}/{one.name}".encode() for one in declared}
        real = {name: Digest(sha256(content).digest()) for name, content in contents.items()}
        digests = real | dict(act.claimed_digests)
        uploaded = [contents[name] for name in contents if name not in act.claimed_digests]
        await self._upload(task, uploaded)
        return tuple(
            ResultOutput(
                name=name, kind="file", sha256=format_digest(digests[name]), size=len(content)
            )
            for name, content in contents.items()
        )

    async def _upload(self, task: AttemptTask, contents: Sequence[bytes]) -> None:
        if not contents:
            return
        by_digest = {format_digest(Digest(sha256(one).digest())): one for one in contents}
        wanted = [{"sha256": digest, "size": len(one)} for digest, one in by_digest.items()]
        answer = await self._http.post(
            "/api/v1/attempt/uploads",
            json={"objects": wanted},
            headers={"Authorization": f"Bearer {task.attempt_token}"},
        )
        answer.raise_for_status()
        for upload in answer.json()["uploads"]:
            await self._put(upload, by_digest[upload["sha256"]])

    async def _put(self, upload: Mapping[str, Any], content: bytes) -> None:
        answer = await self._http.request(
            upload["method"], upload["url"], headers=upload["headers"], content=content
        )
        if answer.status_code != httpx.codes.PRECONDITION_FAILED:  # then it is there already
            answer.raise_for_status()
