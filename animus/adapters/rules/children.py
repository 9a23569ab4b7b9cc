"""One child process that evaluates rules, a request at a time; killed when anything is amiss."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from typing import Any

import orjson

from animus.adapters.rules.child import LENGTH
from animus.domain.canonical import JsonObject
from animus.domain.errors import Unavailable

RULE_SECONDS = 1.0
ALL_RULES_SECONDS = 5.0
START_SECONDS = 30.0

Frame = dict[str, Any]


class _Stopped(Exception):
    """The child did not answer, or is gone; it has been killed."""


class RuleChild:
    """Whatever interrupts an exchange kills the process: an answer that nobody waited for must
    never be read as the answer to the next question."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._asked = 0

    async def start(self) -> None:
        await self._running()

    async def ask(self, plan: JsonObject | None, expressions: Sequence[str]) -> list[Frame | None]:
        """Answers in order; None for a rule that was stopped, and for all after the whole time.

        Rules are asked together first, within the time of one: a frame costs more than a
        rule. Only if that fails they are asked singly, which shows the one that hangs.
        The time that a process needs to start is not the rules' time.
        """
        answers: list[Frame | None] = []
        singly = False
        clock, left = asyncio.get_running_loop().time, ALL_RULES_SECONDS
        while len(answers) < len(expressions):
            process = await self._running()
            begun = clock()
            try:
                async with asyncio.timeout(left):
                    question = {
                        "plan": plan, "expressions": expressions[len(answers) :], "singly": singly
                    }  # fmt: skip
                    await self._exchange(process, question, answers)
            except _Stopped:
                if singly:
                    answers.append(None)
                singly = True
            except TimeoutError:
                return [*answers, *[None] * (len(expressions) - len(answers))]
            left -= clock() - begun
        return answers

    async def close(self) -> None:
        process = self._process
        self._kill()
        if process is not None:
            await process.wait()

    async def _exchange(
        self, process: Process, question: JsonObject, answers: list[Frame | None]
    ) -> None:
        try:
            await self._ask(process, question, answers)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            self._kill()
            raise _Stopped from None
        except BaseException:
            self._kill()
            raise

    async def _ask(
        self, process: Process, question: JsonObject, answers: list[Frame | None]
    ) -> None:
        assert process.stdin is not None
        self._asked += 1
        data = orjson.dumps(question | {"number": self._asked})
        process.stdin.write(LENGTH.pack(len(data)) + data)
        place, last = 0, len(question["expressions"])
        while place < last:
            frame = await _read(process, RULE_SECONDS)
            if (frame["number"], frame["place"]) != (self._asked, place):
                raise Unavailable("The rule evaluator answered another question. Try again.")
            answers += frame["answers"]
            place += len(frame["answers"])

    async def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "animus.adapters.rules.child", stdin=PIPE, stdout=PIPE
            )
            try:
                await _read(self._process, START_SECONDS)
            except BaseException as error:
                self._kill()
                if isinstance(error, TimeoutError | asyncio.IncompleteReadError):
                    raise Unavailable("The rule evaluator does not start. See the log.") from None
                raise
        return self._process

    def _kill(self) -> None:
        """At once, so that no cancellation comes between."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.kill()
        if process.stdin is not None:
            process.stdin.close()


async def _read(process: Process, seconds: float) -> Frame:
    assert process.stdout is not None
    async with asyncio.timeout(seconds):
        header = await process.stdout.readexactly(LENGTH.size)
        data = await process.stdout.readexactly(LENGTH.unpack(header)[0])
    frame: Frame = orjson.loads(data)
    return frame
