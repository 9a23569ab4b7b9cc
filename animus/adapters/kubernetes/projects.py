"""The Kubernetes executor in namespaces of its own: an executor and a watch for each project."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from animus.adapters.kubernetes.errors import NoQuota, NotAdmitted
from animus.adapters.kubernetes.executor import KubernetesExecutor
from animus.adapters.kubernetes.landlords import Landlord, NotOurs
from animus.adapters.kubernetes.reasons import not_admitted, quota_exceeded
from animus.adapters.steps.failures import environment_failure
from animus.agent.journals import AttemptJournal, Fact, Journals
from animus.agent.live_logs import LiveLogs
from animus.domain.canonical import decode_strictly
from animus.domain.ids import AttemptId
from animus.domain.work_orders import Failure
from animus.ports import AttemptEnd, AttemptTask, Executor, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectsExecutor(Executor):
    landlord: Landlord
    open_namespace: Callable[[str], KubernetesExecutor]
    """An executor for a namespace by name; it begins to watch there."""
    journals: Journals
    live: LiveLogs
    """One for all projects: the api hears of an agent's attempts once a round."""
    now: Callable[[], datetime]
    keeps_record: bool = True
    _opened: dict[str, KubernetesExecutor] = field(default_factory=dict)

    async def run(self, task: AttemptTask, /, *, watch: Callable[[Progress], None]) -> AttemptEnd:
        try:
            name = await self.landlord.ensure(task.order.project_id)
        except NotOurs as refusal:
            return self._ends(_not_ours(refusal))
        except NotAdmitted as refusal:
            return self._ends(not_admitted(refusal.said))
        except NoQuota as refusal:
            return self._ends(quota_exceeded(refusal.said))
        return await self._executor(name).run(task, watch=watch)

    def log_offset(self, attempt_id: AttemptId, /) -> int:
        return self.live.offset(attempt_id)

    async def clear(self, attempt_id: AttemptId, /) -> None:
        names = await self.landlord.names(with_going=True)  # its pods may still run there
        project_id = _project_in(self.journals.open(attempt_id))
        for of_project, name in names.items():
            if project_id in (None, of_project):
                await self._executor(name).clear(attempt_id)

    async def held(self) -> Set[AttemptId]:
        found = await asyncio.gather(*(each.held() for each in await self._all()))
        return frozenset().union(*found)

    async def sweep(
        self,
        is_known: Callable[[AttemptId], bool],
        announce: Callable[[str], Awaitable[None]],
        /,
    ) -> Sequence[str]:
        swept = [await each.sweep(is_known, announce) for each in await self._all()]
        return [what for some in swept for what in some]

    def close(self) -> None:
        """Stop watching."""
        for executor in self._opened.values():
            executor.close()

    async def _all(self) -> Sequence[KubernetesExecutor]:
        """A namespace that another agent did not come to furnish is furnished."""
        names = await self.landlord.names()
        for project_id in names:
            with suppress(NotOurs, NotAdmitted, NoQuota):  # what ran in it is still looked for
                await self.landlord.ensure(project_id)
        for gone in self._opened.keys() - set(names.values()):
            self._opened.pop(gone).close()  # there is nothing to watch any more
        return [self._executor(name) for name in names.values()]

    def _executor(self, name: str) -> KubernetesExecutor:
        if name not in self._opened:
            self._opened[name] = self.open_namespace(name)
        return self._opened[name]

    def _ends(self, failure: Failure) -> AttemptEnd:
        return AttemptEnd(finished_at=self.now(), failure=failure)


def _project_in(journal: AttemptJournal) -> str | None:
    """Of the order that the agent was shown; None where it has never heard of the attempt."""
    shown = journal.find(Fact.STOPPED) or journal.find(Fact.RECEIVED)
    if shown is None:
        return None
    return str(decode_strictly(b64decode(shown["order"]))["project_id"])


def _not_ours(refusal: NotOurs) -> Failure:
    return environment_failure(
        "namespace_unfit",
        f"Nothing may run in the project's namespace ({refusal}). Who runs the cluster removes it, "
        "or mends its labels.",
    )
