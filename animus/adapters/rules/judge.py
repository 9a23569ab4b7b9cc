"""The rule judge: a warm child process, killed when a rule takes longer than a second."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from typing import Any

import orjson

from animus.adapters.rules.child import LENGTH
from animus.adapters.rules.evaluation import LIBRARY
from animus.domain.canonical import JsonObject
from animus.domain.errors import Unavailable
from animus.domain.policy_evaluation import Answer, RuleAnswer
from animus.ports import RuleJudge

RULE_SECONDS = 1.0
ALL_RULES_SECONDS = 10.0
START_SECONDS = 30.0

_TIMED_OUT = f"it took longer than {RULE_SECONDS:g} s and was stopped."


class _Stopped(Exception):
    """The child did not answer, or is gone; it has been killed."""


class ProcessRuleJudge(RuleJudge):
    """One child, one request at a time. `close` it."""

    def __init__(self) -> None:
        self._child: Process | None = None
        self._turn = asyncio.Lock()

    @property
    def library(self) -> str:
        return LIBRARY

    async def answer(self, plan: JsonObject, expressions: Sequence[str], /) -> Sequence[RuleAnswer]:
        said = await self._ask(plan, expressions)
        return [
            RuleAnswer(answer=Answer.ERROR, message=_TIMED_OUT)
            if one is None
            else RuleAnswer(answer=Answer(one["answer"]), message=one["message"])
            for one in said
        ]

    async def faults(self, expressions: Sequence[str], /) -> Sequence[str | None]:
        said = await self._ask(None, expressions)
        return [_TIMED_OUT if one is None else one["fault"] for one in said]

    async def start(self) -> None:
        """Start the child, so that the first request does not wait for it."""
        async with self._turn:
            await self._running_child()

    async def close(self) -> None:
        async with self._turn:
            await self._kill()

    async def _ask(
        self, plan: JsonObject | None, expressions: Sequence[str]
    ) -> list[dict[str, Any] | None]:
        """Frames in order; None for a rule that was stopped. After one is, the rest go on."""
        answers: list[dict[str, Any] | None] = []
        give_up = asyncio.get_running_loop().time() + ALL_RULES_SECONDS
        async with self._turn:
            while len(answers) < len(expressions):
                if asyncio.get_running_loop().time() > give_up:
                    return [*answers, *([None] * (len(expressions) - len(answers)))]
                try:
                    await self._exchange(plan, expressions[len(answers) :], answers)
                except _Stopped:
                    answers.append(None)
        return answers

    async def _exchange(
        self,
        plan: JsonObject | None,
        expressions: Sequence[str],
        answers: list[dict[str, Any] | None],
    ) -> None:
        child = await self._running_child()
        assert child.stdin is not None
        data = orjson.dumps({"plan": plan, "expressions": list(expressions)})
        try:
            child.stdin.write(LENGTH.pack(len(data)) + data)
            for _ in expressions:
                answers.append(await self._frame(child, RULE_SECONDS))
        except ConnectionError:
            await self._kill()
            raise _Stopped from None

    async def _running_child(self) -> Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "animus.adapters.rules.child", stdin=PIPE, stdout=PIPE
            )
            try:
                await self._frame(self._child, START_SECONDS)
            except _Stopped:
                raise Unavailable("The rule evaluator does not start. See the log.") from None
        return self._child

    async def _frame(self, child: Process, seconds: float) -> dict[str, Any]:
        assert child.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                header = await child.stdout.readexactly(LENGTH.size)
                data = await child.stdout.readexactly(LENGTH.unpack(header)[0])
        except (TimeoutError, asyncio.IncompleteReadError):
            await self._kill()
            raise _Stopped from None
        frame: dict[str, Any] = orjson.loads(data)
        return frame

    async def _kill(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if child.returncode is None:
            child.kill()
        if child.stdin is not None:
            child.stdin.close()
        await child.wait()
