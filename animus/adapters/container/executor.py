"""The container executor: fetch, main and collect of an attempt, one after another, on one host.

Whatever it is interrupted in, it goes on from: containers have names made from the attempt, what
was done is in the attempt's journal, and nothing is removed before the answer is written down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import structlog

from animus.adapters.container.disk import remove_trees
from animus.adapters.container.engines import Engine, EngineFailed
from animus.adapters.container.forwarders import Upstream, forwarding
from animus.adapters.container.groups import find_groups, remove_group
from animus.adapters.container.main_runs import GIVEN, MainFact, MainRun
from animus.adapters.container.movers import Movers
from animus.adapters.container.outcomes import MainEnd, failure_of
from animus.adapters.container.phases import API_SOCKET, STORE_SOCKET, Naming
from animus.adapters.container.places import Place, Places
from animus.adapters.container.processes import (
    clients_naming,
    end_processes,
    monitors,
    processes_of,
)
from animus.adapters.container.sandboxes import Runtimes
from animus.adapters.container.secret_files import SecretRoom
from animus.adapters.container.starting import OwnImage
from animus.adapters.steps.failures import Unrunnable, collect_failure, platform_failure
from animus.adapters.steps.logs import read_json_file, read_k8s_file
from animus.adapters.steps.redaction import Redactor
from animus.adapters.steps.reports import CollectReport
from animus.adapters.steps.tails import LogTail
from animus.agent.journals import AttemptJournal, Journals
from animus.agent.live_logs import LiveLogs
from animus.domain.ids import AttemptId
from animus.domain.work_orders import Failure, ResultLog, Usage
from animus.ports import AttemptEnd, AttemptTask, ExecutionPhase, Executor, Progress

TROUBLE = "trouble"
TROUBLE_PATIENCE = timedelta(minutes=10)
"""So long an attempt is tried again while engine or disk fail; then it ends for that."""
TROUBLE_FORGOTTEN = timedelta(minutes=5)
"""Without trouble; Temporal asks again far sooner than that."""
_MOVER_SILENT = "Our own container beside the step did not say."
_PHASES = (ExecutionPhase.FETCH, ExecutionPhase.MAIN, ExecutionPhase.COLLECT)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerExecutor(Executor):
    engine: Engine
    runtimes: Runtimes
    naming: Naming
    places: Places
    secrets: SecretRoom
    journals: Journals
    step_image: OwnImage
    api: Upstream
    object_store: Upstream
    live: LiveLogs
    now: Callable[[], datetime]

    async def run(self, task: AttemptTask, /, *, watch: Callable[[Progress], None]) -> AttemptEnd:
        journal, place = self.journals.open(task.attempt_id), self.places.of(task.attempt_id)
        try:
            if task.secrets_failure is not None and journal.find(MainFact.MAY_RUN) is None:
                raise Unrunnable(task.secrets_failure)
            redactor = self._redactor(task, journal)
            place.prepare()
            async with forwarding(self._sockets(place)):
                end = await self._run(task, journal, place, redactor, watch)
                return redactor.end(end)
        except Unrunnable as unrunnable:
            return self._ends(unrunnable.failure, exit_code=unrunnable.exit_code)
        except (EngineFailed, OSError) as error:
            failure = error if isinstance(error, EngineFailed) else _disk_failure(error)
            if not self._has_run_out_of_patience(journal):
                raise failure from None
            _log.error("attempt_given_up", attempt=str(task.attempt_id), detail=failure.detail)
            return self._ends(platform_failure("engine_failed", failure.message))

    def log_offset(self, attempt_id: AttemptId, /) -> int:
        return self.live.offset(attempt_id)

    async def clear(self, attempt_id: AttemptId, /) -> None:
        names = [self.naming.name_of(attempt_id, phase) for phase in _PHASES]
        if not await end_processes(lambda: clients_naming(names)):
            raise EngineFailed("A client of the engine can't be ended.", detail=str(names))
        labels = self.naming.labels_of(attempt_id)
        await self._remove(await self.engine.list_containers(labels))
        if left := await self.engine.list_containers(labels):
            raise EngineFailed("Containers can't be removed.", detail=", ".join(left.values()))
        self._remove_groups({self.naming.name_of(attempt_id, ExecutionPhase.MAIN)})
        self.secrets.of(attempt_id).remove()
        await remove_trees(list(self.journals.open(attempt_id).other_files()))

    async def sweep(
        self,
        is_known: Callable[[AttemptId], bool],
        announce: Callable[[str], Awaitable[None]],
        /,
    ) -> Sequence[str]:
        removed: list[str] = []

        async def tell(kind: str, names: Iterable[str]) -> None:
            for name in names:
                removed.append(f"{kind} {name}")
                await announce(removed[-1])

        def is_unknown(attempt: str) -> bool:
            attempt_id = _attempt_id(attempt)
            return attempt_id is None or not is_known(attempt_id)

        def is_orphan(name: str) -> bool:
            return is_unknown(self.naming.attempt_in(name))

        listed = await self.engine.list_containers(self.naming.labels)
        orphans = {identity: name for identity, name in listed.items() if is_orphan(name)}
        await tell("container", orphans.values())
        await self._remove(orphans)
        halves = {
            identity: name
            for name, identity in monitors()
            if name.startswith(self.naming.prefix) and identity not in listed
        }
        if halves:
            # Listed again: one of them may just have been begun.
            now_listed = await self.engine.list_containers(self.naming.labels)
            halves = {key: name for key, name in halves.items() if key not in now_listed}
            await tell("container", halves.values())
            await self._end_processes(halves)
        groups = {name for name in self._groups() if is_orphan(name)}
        await tell("control group", sorted(groups))
        self._remove_groups(groups)
        secrets = [name for name in self.secrets.names() if is_unknown(name)]
        await tell("secrets of attempt", secrets)
        for name in secrets:
            self.secrets.of(name).remove()
        return removed

    async def _run(
        self,
        task: AttemptTask,
        journal: AttemptJournal,
        place: Place,
        redactor: Redactor,
        watch: Callable[[Progress], None],
    ) -> AttemptEnd:
        secrets = self.secrets.of(task.attempt_id)
        there = (await self.engine.list_containers(self.naming.labels_of(task.attempt_id))).values()
        movers = Movers(
            engine=self.engine, naming=self.naming, image=self.step_image,
            task=task, place=place, journal=journal, now=self.now, redactor=redactor,
            there=there,
        )  # fmt: skip

        def tell(phase: ExecutionPhase) -> None:
            watch(Progress(phase=phase, subject=self.naming.name_of(task.attempt_id, phase)))

        tell(ExecutionPhase.FETCH)
        if (failure := await movers.fetch()) is not None:
            return self._ends(failure)
        with ExitStack() as live:
            main = MainRun(
                engine=self.engine, runtimes=self.runtimes, naming=self.naming,
                task=task, place=place, journal=journal, now=self.now, secrets=secrets, there=there,
                on_log=lambda file: live.enter_context(self._handing_on(task, file, redactor)),
            )  # fmt: skip
            tell(ExecutionPhase.MAIN)
            end = await main.to_end()
            truncated = await movers.write_main_log()
            secrets.remove()
            tell(ExecutionPhase.COLLECT)
            report = await movers.collect(exit_code=_shown_code(end.exit_code))
        usage = _usage(end, report, fetched=movers.fetched_bytes())
        return _attempt_end(task, end, report, usage=usage, truncated=truncated)

    def _handing_on(
        self, task: AttemptTask, file: Path, redactor: Redactor
    ) -> AbstractContextManager[None]:
        read = read_k8s_file if self.engine.is_podman else read_json_file
        if not redactor.knows_all:
            _log.warning("log_withheld", attempt=str(task.attempt_id))
            return nullcontext()
        tail = LogTail(file, limit=task.max_log_bytes, redactor=redactor, read=read)
        return self.live.following(task.attempt_id, tail)

    async def _remove(self, containers: dict[str, str]) -> None:
        if containers:
            await self.engine.remove(*containers, force=True)
        await self._end_processes(containers)

    async def _end_processes(self, containers: dict[str, str]) -> None:
        """What the engine has lost sight of: half-started containers, and their monitors."""
        await asyncio.gather(*(self.engine.forget_in_runtime(each) for each in containers))
        if not await end_processes(lambda: processes_of(containers)):
            raise EngineFailed(
                "Processes of a container can't be ended.", detail=", ".join(containers.values())
            )

    def _groups(self) -> set[str]:
        return find_groups(self.naming.prefix) if self.engine.keeps_groups else set()

    def _remove_groups(self, names: set[str]) -> None:
        if not self.engine.keeps_groups:
            return
        for name in names:
            try:
                remove_group(name)
            except OSError as error:
                raise EngineFailed(
                    "A control group can't be removed.", detail=f"{name}: {error.strerror}"
                ) from None

    def _redactor(self, task: AttemptTask, journal: AttemptJournal) -> Redactor:
        """Of what the store holds now, and of what main was given when it was started: that is
        gone where the machine was, and the store may have been given other values since."""
        kept = self.secrets.of(task.attempt_id).read()
        values = [*(secret.value for secret in task.secrets), *kept.values()]
        begun = journal.find(MainFact.MAY_RUN)
        names = {reference.name for reference in task.assignment.step.secrets}
        is_same = begun is None or begun.get(GIVEN) == task.secrets_mark != ""
        return Redactor(values, knows_all=is_same or names <= kept.keys())

    def _sockets(self, place: Place) -> dict[Path, Upstream]:
        return {
            place.sockets / API_SOCKET: self.api,
            place.sockets / STORE_SOCKET: self.object_store,
        }

    def _has_run_out_of_patience(self, journal: AttemptJournal) -> bool:
        """Counted from the first of a row of troubles, over restarts of the agent."""
        now, kept = self.now(), journal.find(TROUBLE)
        since = last = now
        if kept is not None:
            last = datetime.fromisoformat(kept["last"])
            since = datetime.fromisoformat(kept["since"])
        if now - last > TROUBLE_FORGOTTEN:
            since = now
        journal.record(TROUBLE, {"since": since.isoformat(), "last": now.isoformat()})
        return now - since > TROUBLE_PATIENCE

    def _ends(self, failure: Failure, *, exit_code: int | None = None) -> AttemptEnd:
        return AttemptEnd(finished_at=self.now(), failure=failure, exit_code=exit_code)


def _usage(end: MainEnd, report: CollectReport | None, *, fetched: int | None) -> Usage:
    collected = report.total_bytes if report is not None else None
    moved = {"bytes_in": fetched, "bytes_out": collected}
    unknown = {name: _MOVER_SILENT for name, value in moved.items() if value is None}
    return end.charges.model_copy(update={**moved, "unknown": end.charges.unknown | unknown})


def _attempt_end(
    task: AttemptTask,
    end: MainEnd,
    report: CollectReport | None,
    *,
    usage: Usage,
    truncated: bool,
) -> AttemptEnd:
    """Main's own end first; what could not be collected matters where it ended well."""
    failure = failure_of(end, task.assignment.step) or collect_failure(task.assignment.step, report)
    stored = report.log if report is not None else None
    return AttemptEnd(
        failure=failure,
        exit_code=_shown_code(end.exit_code),
        started_at=end.started_at,
        finished_at=end.finished_at,
        outputs=report.results() if report is not None else (),
        log=ResultLog(sha256=stored.sha256, size=stored.size, truncated=truncated)
        if stored is not None
        else None,
        posture=end.posture,
        usage=usage,
    )


def _shown_code(code: int | None) -> int | None:
    """Podman says -1 for what it ended itself: no process ended with that."""
    return code if code is not None and code >= 0 else None


def _disk_failure(error: OSError) -> EngineFailed:
    return EngineFailed(
        f"The agent's disk failed: {error.strerror}.", detail=f"{error.filename}: {error.strerror}"
    )


def _attempt_id(text: str) -> AttemptId | None:
    try:
        return AttemptId(UUID(text))
    except ValueError:
        return None
