"""Fetch and collect, our own containers beside main: started, waited for, their report read."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import BinaryIO

import structlog

from animus.adapters.container.engines import Engine
from animus.adapters.container.inspection import ContainerState
from animus.adapters.container.phases import MOVER_SECONDS, Naming, mover_spec
from animus.adapters.container.places import Place
from animus.adapters.container.starting import OwnImage, remove_unstarted, start
from animus.adapters.container.watching import wait_for_end
from animus.adapters.steps.failures import platform_failure
from animus.adapters.steps.logs import WITHHELD, read_json_file, read_k8s_file, write_log
from animus.adapters.steps.redaction import Redactor
from animus.adapters.steps.reports import (
    COLLECT_REPORT,
    COLLECT_REQUEST,
    FETCH_REPORT,
    LOG,
    CollectReport,
    FetchReport,
    collect_request,
    read_report,
)
from animus.agent.journals import AttemptJournal
from animus.domain.work_orders import Failure
from animus.ports import AttemptTask, ExecutionPhase

_WORDS_OF_A_MOVER = 600

_log = structlog.get_logger()


class MoverFact(StrEnum):
    FETCHED = "fetched"
    LOGGED = "main-logged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movers:
    """Fetch and collect of one attempt."""

    engine: Engine
    naming: Naming
    image: OwnImage
    task: AttemptTask
    place: Place
    journal: AttemptJournal
    now: Callable[[], datetime]
    redactor: Redactor
    there: Collection[str]
    """Names of the containers that an earlier agent has left of the attempt."""

    async def fetch(self) -> Failure | None:
        """What keeps main from starting, or None. Done once: the answer is kept."""
        kept = self.journal.find(MoverFact.FETCHED)
        if kept is None:
            failure, report = await self._fetch()
            kept = {
                "failure": failure.content() if failure else None,
                "total_bytes": report.total_bytes if report else None,
            }
            self.journal.record(MoverFact.FETCHED, kept)
        return Failure.model_validate(kept["failure"]) if kept["failure"] else None

    def fetched_bytes(self) -> int | None:
        """What fetch said that it brought."""
        kept = self.journal.find(MoverFact.FETCHED)
        return kept.get("total_bytes") if kept is not None else None

    async def collect(self, *, exit_code: int | None) -> CollectReport | None:
        """Outputs and log into the store; None where there is no report."""
        phase = ExecutionPhase.COLLECT
        await self._move(phase, prepare=lambda: self._ask_for_outputs(exit_code))
        report = read_report(CollectReport, self.place.read_report(COLLECT_REPORT))
        if report is None or report.failure is not None:
            self._tell(phase)
        return report

    async def write_main_log(self) -> bool:
        """Make the log that collect uploads; whether something had to be left out of it."""
        kept = self.journal.find(MoverFact.LOGGED)
        if kept is None:
            kept = {"truncated": await asyncio.to_thread(self._convert_log)}
            self.journal.record(MoverFact.LOGGED, kept)
        return bool(kept["truncated"])

    async def _fetch(self) -> tuple[Failure | None, FetchReport | None]:
        phase = ExecutionPhase.FETCH
        await self._move(phase, prepare=lambda: self.place.drop_from_data(FETCH_REPORT))
        report = read_report(FetchReport, self.place.read_report(FETCH_REPORT))
        if report is not None and report.ok:
            return None, report
        self._tell(phase)
        if report is None or report.failure is None:
            said_nothing = "Fetch ended without saying what it did."
            return platform_failure("fetch_failed", said_nothing), report
        return report.failure.failure(), report

    async def _move(self, phase: ExecutionPhase, *, prepare: Callable[[], None]) -> None:
        """Run one of them to its end. Its token is gone from the disk as soon as it has ended."""
        name = self.naming.name_of(self.task.attempt_id, phase)
        container = await self.engine.find_container(name) if name in self.there else None
        if container is not None and not container.has_started:
            await remove_unstarted(self.engine, container)
            container = None
        if container is None:
            prepare()
            container = await self._start(phase)
        running = container
        await wait_for_end(self.engine, running, look=lambda: self._end_if_late(running))
        self.place.drop_token(self.place.attempt_token)

    async def _end_if_late(self, container: ContainerState) -> None:
        began = container.started_at
        if began is not None and self.now() - began > timedelta(seconds=MOVER_SECONDS):
            await self.engine.kill(container.identity)

    async def _start(self, phase: ExecutionPhase) -> ContainerState:
        self.place.write_token(self.place.attempt_token, self.task.attempt_token)
        spec = mover_spec(
            self.task, self.place, self.naming, phase=phase, image=self.image.reference
        )
        return await start(self.engine, await self.image.create(spec, self.place), now=self.now)

    def _ask_for_outputs(self, exit_code: int | None) -> None:
        step = self.task.assignment.step
        outputs: list[dict[str, object]] = [
            {"name": output.name, "path": output.path, "optional": output.optional}
            for output in step.outputs.artifacts
        ]
        request = collect_request(
            outputs,
            exit_code=exit_code,
            max_total_bytes=step.resources.amounts().storage,
            has_log=self.journal.find(MoverFact.LOGGED) is not None,
        )
        self.place.drop_from_data(COLLECT_REPORT)
        with self.place.new_in_data(COLLECT_REQUEST) as file:
            os.write(file, request)

    def _convert_log(self) -> bool:
        raw = self.place.raw_log(ExecutionPhase.MAIN)
        read = read_k8s_file if self.engine.is_podman else read_json_file
        with (
            raw.open("rb") if raw.is_file() else io.BytesIO() as source,
            self.place.new_in_data(LOG) as target,
            os.fdopen(os.dup(target), "wb") as sink,
        ):
            if not self.redactor.knows_all:
                sink.write(f"{WITHHELD}\n".encode())
                return True
            return write_log(
                read(source), sink, limit=self.task.max_log_bytes, redactor=self.redactor
            )

    def _tell(self, phase: ExecutionPhase) -> None:
        """The last words of fetch or collect, for the agent's log."""
        _log.warning(
            "mover_failed",
            attempt=str(self.task.attempt_id),
            phase=str(phase),
            said=_last_words(self.place, phase),
        )


def _last_words(place: Place, phase: ExecutionPhase) -> str:
    try:
        with place.raw_log(phase).open("rb") as log:
            return _tail(log).decode(errors="backslashreplace")
    except FileNotFoundError:
        return ""


def _tail(log: BinaryIO) -> bytes:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - _WORDS_OF_A_MOVER))
    return log.read()
