"""Which runtime main gets: the one that its plan promises, if it works here, or none at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from animus.adapters.container.disk import remove_trees
from animus.adapters.container.engines import Engine, EngineFailed
from animus.adapters.container.inspection import ContainerState
from animus.adapters.container.phases import MOVER_LIMITS, Naming
from animus.adapters.container.places import Place
from animus.adapters.container.specs import ContainerSpec
from animus.adapters.container.starting import create, get_image, start
from animus.adapters.container.watching import watch_to_end
from animus.adapters.steps.failures import Unrunnable, environment_failure
from animus.adapters.steps.logs import read_k8s_file

PROBE = "probe"
_TELL_KERNEL = ("python3", "-c", "import os; print(os.uname().release)")
_PROBE_WITHIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtimes:
    """What main can run under on this machine, beside the engine's usual runtime."""

    sandbox: str | None = None
    sandbox_only: bool = False
    """Nothing runs here without it, whatever a plan says."""
    fault: str = "There is none."
    """Why there is no sandbox."""

    def choose(self, promised: str | None) -> str:
        """The sandbox by name, or empty for the usual runtime. Raises `Unrunnable`."""
        if promised is None and self.sandbox_only:
            raise Unrunnable(
                environment_failure(
                    "sandbox_demanded",
                    "This agent runs nothing without a sandbox, and the plan promises none. "
                    "Register its cluster with the sandbox's name as runtime.",
                )
            )
        if promised is not None and promised != self.sandbox:
            raise Unrunnable(
                environment_failure(
                    "sandbox_missing",
                    f"The plan promises {promised}, which does not work on this machine. "
                    f"{self.fault} Mend it, or run on a cluster that is registered without it.",
                )
            )
        return promised or ""


async def find_fault(engine: Engine, *, place: Place, naming: Naming, image: str) -> str | None:
    """Why the engine's sandbox is of no use, seen by running our own image in it; None if it works.

    Raises `EngineFailed` where the engine runs nothing at all now: that says nothing of a sandbox.
    """
    assert engine.sandbox is not None
    probe = _Probe(engine=engine, place=place, name=f"{naming.prefix}{PROBE}", image=image)
    place.prepare()
    try:
        kernel = await probe.kernel_under(engine.sandbox.name, naming.labels)
    except (EngineFailed, Unrunnable) as failure:
        await _check_engine(probe, naming.labels)
        return f"A container can't be started in it: {_reason(failure)}"
    finally:
        await remove_trees([place.directory])
    if kernel in (None, os.uname().release):
        return "What runs in it has no kernel of its own, or says nothing."
    return None


async def _check_engine(probe: _Probe, labels: dict[str, str]) -> None:
    """Raises `EngineFailed` unless the same runs under the usual runtime."""
    try:
        await probe.kernel_under("", labels)
    except Unrunnable as unrunnable:
        raise EngineFailed(unrunnable.failure.message) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Probe:
    engine: Engine
    place: Place
    name: str
    image: str

    async def kernel_under(self, runtime: str, labels: dict[str, str]) -> str | None:
        """Which kernel a container sees; None where it ended badly or said nothing."""
        if await self.engine.find_container(self.name) is not None:
            await self.engine.remove(self.name, force=True)  # of an agent that was killed
        image = await get_image(self.engine, self.image)
        created = await create(self.engine, self._spec(runtime, labels), self.place, image=image)
        try:
            running = await start(self.engine, created, now=lambda: datetime.now(UTC))
            ended = await watch_to_end(
                self.engine, running, look=lambda: self._end_if_late(running)
            )
        finally:
            await self.engine.remove(created.identity, force=True)
        return self._said() if ended is not None and ended.exit_code == 0 else None

    def _spec(self, runtime: str, labels: dict[str, str]) -> ContainerSpec:
        return ContainerSpec(
            name=self.name,
            labels=labels,
            image=self.image,
            command=_TELL_KERNEL,
            mounts=(),
            limits=MOVER_LIMITS,
            variables={},
            log=self.place.raw_log(PROBE),
            runtime=runtime,
        )

    async def _end_if_late(self, running: ContainerState) -> None:
        began = running.started_at
        if began is not None and datetime.now(UTC) - began > _PROBE_WITHIN:
            await self.engine.kill(running.identity)

    def _said(self) -> str | None:
        with self.place.raw_log(PROBE).open("rb") as log:
            pieces = [piece.content.decode(errors="replace") for piece in read_k8s_file(log)]
        return pieces[0].strip() if pieces else None


def _reason(failure: EngineFailed | Unrunnable) -> str:
    if isinstance(failure, Unrunnable):
        return failure.failure.message
    return failure.detail or failure.message
