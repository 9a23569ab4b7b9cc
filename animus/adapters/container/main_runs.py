"""Main, the user's container: started once at most, watched against its limits, its end kept."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import structlog

from animus.adapters.container.disk import used_bytes, used_scratch
from animus.adapters.container.engines import Engine, EngineFailed
from animus.adapters.container.groups import read_charges
from animus.adapters.container.inspection import ContainerState
from animus.adapters.container.oom import kernel_killed
from animus.adapters.container.outcomes import Limit, MainEnd, exit_code_of_unstarted, refused_start
from animus.adapters.container.phases import LAYOUT, OUT, WORK, Naming, main_spec
from animus.adapters.container.places import Place
from animus.adapters.container.sandboxes import Runtimes
from animus.adapters.container.secret_files import SecretFiles
from animus.adapters.container.specs import ContainerSpec
from animus.adapters.container.starting import (
    create,
    get_image,
    remove_unstarted,
    start,
)
from animus.adapters.container.watching import watch_to_end
from animus.adapters.steps.failures import Unrunnable, platform_failure
from animus.agent.journals import AttemptJournal
from animus.domain.canonical import canonical_bytes
from animus.domain.work_orders import Posture, Usage
from animus.ports import AttemptTask, ExecutionPhase

GIVEN = "secrets"
"""In the fact that main may run: the mark of what it was given."""
_FIRST_WORDS = 4_096

_log = structlog.get_logger()


class MainFact(StrEnum):
    MAY_RUN = "main-may-run"
    """Written before main is started. Without it main has not run; with it, and without a
    container, nobody knows."""
    OVER = "main-over-limit"
    """For which limit we are about to kill it."""
    ENDED = "main-ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class MainRun:
    """One attempt's main."""

    engine: Engine
    runtimes: Runtimes
    naming: Naming
    task: AttemptTask
    place: Place
    journal: AttemptJournal
    now: Callable[[], datetime]
    secrets: SecretFiles
    there: Collection[str]
    """Names of the containers that an earlier agent has left of the attempt."""
    on_log: Callable[[Path], None]
    """Told where the engine keeps what main writes, as soon as main is there."""

    @property
    def name(self) -> str:
        """Of its container, and of the control group around that."""
        return self.naming.name_of(self.task.attempt_id, ExecutionPhase.MAIN)

    async def to_end(self) -> MainEnd:
        """Start it, adopt it, or read how it ended. Raises `Unrunnable` where it never ran."""
        kept = self.journal.find(MainFact.ENDED)
        if kept is not None:
            return MainEnd.model_validate(kept)
        container = await self._adopt() or await self._start()
        self.on_log(self._engine_log(container))
        ended = await watch_to_end(self.engine, container, look=lambda: self._look(container))
        end = await self._describe_end(container, ended)
        if ended is None:
            await self.engine.remove(container.identity, force=True)
            await self.engine.forget_in_runtime(container.identity)
        elif not self.engine.is_podman:
            await asyncio.to_thread(self._copy_log, Path(ended.log_path))
        self.journal.record(MainFact.ENDED, end.model_dump(mode="json"))
        self.place.drop_token(self.place.run_token)
        return end

    async def _adopt(self) -> ContainerState | None:
        """The container of an earlier agent; None where main has not been started yet."""
        found = await self.engine.find_container(self.name) if self.name in self.there else None
        if found is not None and not found.has_started:
            await remove_unstarted(self.engine, found)
            self.journal.withdraw(MainFact.MAY_RUN)  # not before: rather lost than started twice
            found = None
        if found is None and self.journal.find(MainFact.MAY_RUN) is not None:
            raise Unrunnable(_LOST)
        if found is not None:
            _log.info("main_adopted", container=self.name, status=found.status)
        return found

    async def _start(self) -> ContainerState:
        if self.task.secrets_failure is not None:
            raise Unrunnable(self.task.secrets_failure)
        image = await get_image(self.engine, self.task.assignment.step.image)
        created = await create(self.engine, self._prepare(), self.place, image=image)
        content = {
            "container": created.identity,
            "at": self.now().isoformat(),
            GIVEN: self.task.secrets_mark,
        }
        self.journal.record(MainFact.MAY_RUN, content)
        try:
            started = await start(self.engine, created, now=self.now)
        except EngineFailed as failure:
            if (unstartable := refused_start(failure.detail or "")) is not None:
                raise unstartable from None
            raise
        return started

    def _prepare(self) -> ContainerSpec:
        """Its files in place, and no link where a directory is to be mounted."""
        for name in LAYOUT:
            if not self.place.is_mountable(name):
                raise Unrunnable(
                    platform_failure("fetch_incomplete", f"Fetch left no directory {name}.")
                )
        canonical = canonical_bytes(self.task.assignment.parameters)
        self.place.write_parameters(canonical)
        if self.task.run_token is not None:
            self.place.write_token(self.place.run_token, self.task.run_token)
        if self.task.secrets:
            self.secrets.write(self.task.secrets)
        return main_spec(
            self.task, self.place, self.naming,
            secrets=self.secrets.directory,
            runtime=self.runtimes.choose(self.task.assignment.sandbox),
            group=self.name if self.engine.keeps_groups else "",
        )  # fmt: skip

    async def _look(self, container: ContainerState) -> None:
        over = self._limit_kept() or await self._limit_reached(container)
        if over is not None:
            self.journal.record(MainFact.OVER, {"limit": str(over)})
            await self.engine.kill(container.identity)

    async def _limit_reached(self, container: ContainerState) -> Limit | None:
        step = self.task.assignment.step
        if self.now() - self._started_at(container) >= timedelta(seconds=step.timeoutSeconds):
            return Limit.TIME
        data = self.place.data
        written = await used_bytes(
            [data / WORK, data / OUT, self.place.raw_log(ExecutionPhase.MAIN)]
        )
        in_sandbox = await self.engine.used_in_sandbox(container)
        used = written + used_scratch(container.pid) + in_sandbox
        return Limit.STORAGE if used > step.resources.amounts().storage else None

    def _limit_kept(self) -> Limit | None:
        kept = self.journal.find(MainFact.OVER)
        return Limit(kept["limit"]) if kept is not None else None

    def _started_at(self, container: ContainerState) -> datetime:
        """By the engine; by us, where its client was killed between the start and writing it."""
        if container.started_at is not None:
            return container.started_at
        kept = self.journal.find(MainFact.MAY_RUN)
        return datetime.fromisoformat(kept["at"]) if kept is not None else self.now()

    async def _describe_end(
        self, container: ContainerState, ended: ContainerState | None
    ) -> MainEnd:
        started_at = self._started_at(ended or container)
        seen = MainEnd(
            exit_code=None,
            started_at=started_at,
            finished_at=self.now(),
            posture=posture_of(ended or container, self.engine, self.task),
            over=self._limit_kept(),
            charges=self._charges(),
        )
        if ended is None:
            return seen
        code = ended.exit_code
        out_of_memory = code != 0 and (
            ended.oom_killed or await asyncio.to_thread(kernel_killed, ended.identity)
        )
        changes = {
            "exit_code": (self._code_of_unstarted() if code == 1 else None) or code,
            "finished_at": max(ended.finished_at or seen.finished_at, started_at),
            "out_of_memory": out_of_memory,
        }
        return seen.model_copy(update=changes)

    def _charges(self) -> Usage:
        if self.engine.keeps_groups:
            return read_charges(self.name)
        return Usage(unknown={"cpu_milliseconds": _NOT_KEPT, "peak_memory_bytes": _NOT_KEPT})

    def _engine_log(self, container: ContainerState) -> Path:
        if self.engine.is_podman:
            return self.place.raw_log(ExecutionPhase.MAIN)
        return Path(container.log_path)

    def _copy_log(self, kept: Path) -> None:
        """Docker writes it where it likes; podman wrote it here."""
        if kept.is_file():
            shutil.copyfile(kept, self.place.raw_log(ExecutionPhase.MAIN))

    def _code_of_unstarted(self) -> int | None:
        try:
            with self.place.raw_log(ExecutionPhase.MAIN).open("rb") as log:
                return exit_code_of_unstarted(log.read(_FIRST_WORDS))
        except FileNotFoundError:
            return None


def posture_of(container: ContainerState, engine: Engine, task: AttemptTask) -> Posture:
    """How the engine says that main was confined."""
    return Posture(
        executor="container",
        engine=f"{engine.kind} {engine.version}",
        runtime=container.runtime or engine.runtime,
        image=container.image_digest or task.assignment.step.image_digest,
        user=container.user,
        network=container.network,
        read_only_root=container.read_only_root,
        capabilities=container.capabilities,
        no_new_privileges=container.no_new_privileges,
        seccomp=container.seccomp,
        memory_bytes=container.memory_bytes,
        millicores=container.millicores,
        pids=container.pids,
    )


_NOT_KEPT = "The engine's control groups go with their container, and its account with them."
_LOST = platform_failure(
    "lost", "Main may have been started, and its container is gone: it is not started again."
)
