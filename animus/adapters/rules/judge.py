"""The rule judge: a few warm child processes, each killed when a rule takes too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from animus.adapters.rules.children import ALL_RULES_SECONDS, RULE_SECONDS, RuleChild
from animus.adapters.rules.evaluation import LIBRARY
from animus.domain.canonical import JsonObject
from animus.domain.errors import Unavailable
from animus.domain.policy_evaluation import Answer, RuleAnswer
from animus.ports import RuleJudge

CHILDREN = 4
TURN_SECONDS = 10.0
"""Longer than any one plan may take: who waits longer is told to try again, and holds nothing."""

_TIMED_OUT = (
    f"it took longer than {RULE_SECONDS:g} s, or all rules together longer than "
    f"{ALL_RULES_SECONDS:g} s, and was stopped."
)


class ProcessRuleJudge(RuleJudge):
    """`close` it."""

    def __init__(self) -> None:
        self._idle = [RuleChild()]
        self._turns = asyncio.Semaphore(CHILDREN)

    @property
    def library(self) -> str:
        return LIBRARY

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[RuleJudge]:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise Unavailable("Rules of other plans are being evaluated. Try again.") from None
        child = self._idle.pop() if self._idle else RuleChild()
        try:
            yield _Turn(child)
        finally:
            self._idle.append(child)
            self._turns.release()

    async def answer(self, plan: JsonObject, expressions: Sequence[str], /) -> Sequence[RuleAnswer]:
        async with self.turn() as judge:
            return await judge.answer(plan, expressions)

    async def faults(self, expressions: Sequence[str], /) -> Sequence[str | None]:
        async with self.turn() as judge:
            return await judge.faults(expressions)

    async def start(self) -> None:
        """Start a child, so that the first request does not wait for it."""
        await self._idle[-1].start()

    async def close(self) -> None:
        """When nobody has a turn any more."""
        for child in self._idle:
            await child.close()


class _Turn(RuleJudge):
    """The judge of one who has a child to himself."""

    def __init__(self, child: RuleChild) -> None:
        self._child = child

    @property
    def library(self) -> str:
        return LIBRARY

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[RuleJudge]:
        yield self

    async def answer(self, plan: JsonObject, expressions: Sequence[str], /) -> Sequence[RuleAnswer]:
        said = await self._child.ask(plan, expressions)
        return [
            RuleAnswer(answer=Answer.ERROR, message=_TIMED_OUT)
            if one is None
            else RuleAnswer(answer=Answer(one["answer"]), message=one["message"])
            for one in said
        ]

    async def faults(self, expressions: Sequence[str], /) -> Sequence[str | None]:
        said = await self._child.ask(None, expressions)
        return [_TIMED_OUT if one is None else one["fault"] for one in said]
