"""An executor that executes nothing: for measuring everything around it, and for nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from animus.domain.ids import AttemptId
from animus.ports import AttemptEnd, AttemptTask, ExecutionPhase, Executor, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class NoopExecutor(Executor):
    now: Callable[[], datetime]

    async def run(self, task: AttemptTask, /, *, watch: Callable[[Progress], None]) -> AttemptEnd:
        """Success without outputs, at once: no use to a step that has required ones."""
        watch(Progress(phase=ExecutionPhase.MAIN, subject=str(task.attempt_id)))
        now = self.now()
        if task.secrets_failure is not None:
            return AttemptEnd(finished_at=now, failure=task.secrets_failure)
        return AttemptEnd(exit_code=0, started_at=now, finished_at=now)

    async def clear(self, attempt_id: AttemptId, /) -> None:
        """There never is anything."""

    async def sweep(
        self,
        is_known: Callable[[AttemptId], bool],
        announce: Callable[[str], Awaitable[None]],
        /,
    ) -> Sequence[str]:
        return ()
