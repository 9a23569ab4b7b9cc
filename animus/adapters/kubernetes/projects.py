"""The Kubernetes executor in namespaces of its own: an executor and a watch for each project."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from animus.adapters.kubernetes.clients import NoQuota, NotAdmitted
from animus.adapters.kubernetes.executor import KubernetesExecutor
from animus.adapters.kubernetes.landlords import Landlord, NotOurs
from animus.adapters.kubernetes.reasons import not_admitted, quota_exceeded
from animus.adapters.steps.failures import environment_failure
from animus.domain.ids import AttemptId
from animus.domain.work_orders import Failure
from animus.ports import AttemptEnd, AttemptTask, Executor, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectsExecutor(Executor):
    landlord: Landlord
    open_namespace: Callable[[str], KubernetesExecutor]
    """An executor for a namespace by name; it begins to watch there."""
    now: Callable[[], datetime]
    keeps_record: bool = True
    _opened: dict[str, KubernetesExecutor] = field(default_factory=dict)
    _projects: dict[AttemptId, str] = field(default_factory=dict)
    """Of attempts that ran since this agent began: it need not look for them everywhere."""

    async def run(self, task: AttemptTask, /, *, watch: Callable[[Progress], None]) -> AttemptEnd:
        project_id = task.order.project_id
        self._projects[task.attempt_id] = project_id
        try:
            name = await self.landlord.ensure(project_id)
        except NotOurs as refusal:
            return self._ends(_not_ours(refusal))
        except NotAdmitted as refusal:
            return self._ends(not_admitted(refusal.said))
        except NoQuota as refusal:
            return self._ends(quota_exceeded(refusal.said))
        return await self._executor(name).run(task, watch=watch)

    async def clear(self, attempt_id: AttemptId, /) -> None:
        known = self._projects.get(attempt_id)
        for project_id, executor in (await self._all()).items():
            if known in (None, project_id):
                await executor.clear(attempt_id)
        self._projects.pop(attempt_id, None)

    async def held(self) -> Set[AttemptId]:
        executors = (await self._all()).values()
        found = await asyncio.gather(*(each.held() for each in executors))
        return frozenset().union(*found)

    async def sweep(
        self,
        is_known: Callable[[AttemptId], bool],
        announce: Callable[[str], Awaitable[None]],
        /,
    ) -> Sequence[str]:
        swept = [await each.sweep(is_known, announce) for each in (await self._all()).values()]
        return [what for some in swept for what in some]

    def close(self) -> None:
        """Stop watching."""
        for executor in self._opened.values():
            executor.close()

    async def _all(self) -> dict[str, KubernetesExecutor]:
        """By project. A namespace that another agent did not come to furnish is furnished."""
        found = {}
        for project_id, name in (await self.landlord.projects()).items():
            with suppress(NotOurs, NotAdmitted, NoQuota):  # what ran in it is still looked for
                await self.landlord.ensure(project_id)
            found[project_id] = self._executor(name)
        return found

    def _executor(self, name: str) -> KubernetesExecutor:
        if name not in self._opened:
            self._opened[name] = self.open_namespace(name)
        return self._opened[name]

    def _ends(self, failure: Failure) -> AttemptEnd:
        return AttemptEnd(finished_at=self.now(), failure=failure)


def _not_ours(refusal: NotOurs) -> Failure:
    return environment_failure(
        "namespace_unfit",
        f"Nothing may run in the project's namespace ({refusal}). Who runs the cluster removes it, "
        "or mends its labels.",
    )
