"""Agents for tests: on real parts, in this process or in one that can be killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from animus.adapters.container.engines import Engine
from animus.adapters.container.phases import Naming
from animus.agent.execution import Agent, Signed
from animus.domain.canonical import decode_strictly
from animus.domain.ids import AttemptId
from animus.domain.work_orders import AttemptResult, StopReceipt
from animus.ports import ExecutionPhase
from animusd.settings import AgentSection
from tests.agent.platforms import Order
from tests.support.waiting import PATIENCE

POLL = 0.01
CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """An agent in this process, with what there is to look at around it."""

    agent: Agent
    section: AgentSection
    engine: Engine = field(repr=False)
    naming: Naming

    async def execute(self, order: Order) -> Signed:
        return await self.agent.execute(self.agent.verify(order.order, order.signature))

    async def stop(self, order: Order) -> Signed:
        return await self.agent.stop(self.agent.verify(order.order, order.signature))

    async def result(self, order: Order) -> AttemptResult:
        return read_result((await self.execute(order)).document)

    def directory(self, order: Order) -> Path:
        return self.section.state_dir / "attempts" / str(order.attempt_id)

    def has_fact(self, order: Order, fact: str) -> bool:
        return (self.directory(order) / "journal" / f"{fact}.json").is_file()

    def name(self, order: Order, phase: ExecutionPhase) -> str:
        return self.naming.name_of(order.attempt_id, phase)

    def has_said(self, order: Order, word: str) -> bool:
        """Whether main has printed a word."""
        log = self.directory(order) / "logs" / ExecutionPhase.MAIN
        return log.is_file() and word in log.read_text()

    def let_go_on(self, order: Order) -> None:
        """Main, which waits `UNTIL_GO`."""
        (self.directory(order) / "data" / "work" / "go").touch()

    async def is_running(self, order: Order, phase: ExecutionPhase) -> bool:
        state = await self.engine.find_container(self.name(order, phase))
        return state is not None and state.is_running

    async def receipt(self, order: Order) -> StopReceipt:
        return read_receipt((await self.stop(order)).document)

    def processes(self, order: Order) -> list[str]:
        """Whatever runs on this machine for the attempt."""
        return running_with(str(order.attempt_id), f"ANIMUS_RUN_ID={order.run_id}")

    async def containers(self, attempt_id: AttemptId) -> list[str]:
        """Names of what the engine has of an attempt."""
        listed = await self.engine.list_containers(self.naming.labels_of(attempt_id))
        return sorted(listed.values())


def read_result(document: bytes) -> AttemptResult:
    return AttemptResult.model_validate(decode_strictly(document))


def read_receipt(document: bytes) -> StopReceipt:
    return StopReceipt.model_validate(decode_strictly(document))


def running_with(*texts: str) -> list[str]:
    """Command lines of the processes that have one of these in theirs, in their environment, or in
    the name of a control group: what runs in a sandbox is not seen by its own name."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes()
            said = words + (process / "environ").read_bytes() + (process / "cgroup").read_bytes()
            if any(text.encode() in said for text in texts):
                found.append(words.replace(b"\0", b" ").decode(errors="replace"))
    return found


async def until(condition: Callable[[], bool], *, within: float = PATIENCE) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(POLL)


@dataclass(slots=True)
class Driver:
    """An agent in a process of its own that executes one order: see `tests.agent.driving`."""

    process: subprocess.Popen[bytes]
    answer: Path

    @classmethod
    def start(cls, section: AgentSection, order: Order, *, scratch: Path) -> Driver:
        answer = scratch / f"answer-{time.monotonic_ns()}"
        request = scratch / f"request-{time.monotonic_ns()}"
        request.write_bytes(
            orjson.dumps(
                {
                    "section": section.model_dump(mode="json"),
                    "order": order.order.hex(),
                    "signature": order.signature.hex(),
                    "answer": str(answer),
                }
            )
        )
        with (scratch / "driver.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.agent.driving", str(request)],
                cwd=CHECKOUT,
                stdout=log,
                stderr=log,
            )
        return cls(process, answer)

    def kill(self) -> None:
        """SIGKILL to the agent alone: its engine clients go on, as after a real crash."""
        self.process.kill()
        self.process.wait()

    async def result(self) -> AttemptResult:
        try:
            await until(lambda: self.process.poll() is not None)
        finally:
            self.kill()
        assert self.process.returncode == 0, "the driver failed"
        return read_result(self.answer.read_bytes())
