"""Creating and starting containers, so that what must run once is never started twice.

Creation and start are two commands: what was created is looked at before anything in it runs, and
what was created but not started may be thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from animus.adapters.container.engines import CommandTooLong, Engine, EngineFailed
from animus.adapters.container.inspection import ContainerState, ImageState
from animus.adapters.container.places import Place
from animus.adapters.container.processes import end_processes, processes_of
from animus.adapters.container.specs import (
    ContainerSpec,
    Unpassable,
    client_variables,
    create_arguments,
    variables_text,
    weaknesses,
)
from animus.adapters.steps.failures import Unrunnable, environment_failure, user_failure

_NO_INIT = "container-init binary not found"

_log = structlog.get_logger()


async def get_image(engine: Engine, reference: str) -> ImageState:
    """Raises `Unrunnable` unless the engine has exactly this image, under exactly this name."""
    image = await engine.find_image(reference)
    if image is None or not image.has_reference(reference):
        raise Unrunnable(
            environment_failure(
                "image_missing",
                f"The image {reference} is not on this machine under this name. "
                f"Bring it there ({engine.kind} pull, or load and tag), then run again.",
            )
        )
    return image


@dataclass(slots=True)
class OwnImage:
    """Ours, which the engine is asked for once: under a digest there is never another."""

    engine: Engine
    reference: str
    _state: ImageState | None = None

    async def create(self, spec: ContainerSpec, place: Place) -> ContainerState:
        """A container of it, as `create` makes one. What fails asks for the image the next time:
        it may have been removed."""
        if self._state is None:
            self._state = await get_image(self.engine, self.reference)
        try:
            return await create(self.engine, spec, place, image=self._state)
        except (EngineFailed, Unrunnable):
            self._state = None
            raise


async def create(
    engine: Engine, spec: ContainerSpec, place: Place, *, image: ImageState
) -> ContainerState:
    """The container, not started, seen to be what was asked for. Raises `Unrunnable`."""
    try:
        place.write_variables(variables_text(spec))
    except Unpassable as variable:
        raise Unrunnable(
            environment_failure(
                "variable_unpassable",
                f"The value of {variable} has several lines or more than 60,000 bytes, which this "
                "executor can't pass on. Make it a parameter, or put it into a file.",
            )
        ) from None
    try:
        identity = await _create(engine, spec, place)
    except CommandTooLong:
        raise Unrunnable(_TOO_LONG, exit_code=126) from None
    finally:
        place.drop_variables()
    created = await engine.find_container(identity)
    if created is None:
        raise EngineFailed("The engine lost a container.", detail=f"{spec.name} after creation")
    check_image(created, image)
    if weak := list(weaknesses(spec, created)):
        await remove_unstarted(engine, created)
        raise Unrunnable(
            environment_failure(
                "not_hardened", f"The engine would give the step {'; '.join(weak)}."
            )
        )
    return created


async def start(
    engine: Engine, created: ContainerState, *, now: Callable[[], datetime]
) -> ContainerState:
    """As it was when it had started. It may have ended since."""
    await engine.start(created)
    started = created.running_since(now())
    started = started or await engine.find_container(created.identity)
    if started is None:
        raise EngineFailed("The engine lost a container.", detail=f"{created.name} after start")
    return started


async def remove_unstarted(engine: Engine, container: ContainerState) -> None:
    """Raises `EngineFailed` if it runs after all: the client that was to start it may still be
    at work, and whoever comes first wins."""
    await engine.remove(container.identity, force=False)
    await engine.forget_in_runtime(container.identity)
    if not await end_processes(lambda: processes_of([container.identity])):
        raise EngineFailed("Processes of a container can't be ended.", detail=container.name)


def check_image(container: ContainerState, image: ImageState) -> None:
    """Raises `Unrunnable` if the container was made from another image than was named."""
    if container.image_identity != image.identity:
        raise Unrunnable(
            environment_failure(
                "image_changed",
                f"The engine took the image {container.image_identity} instead of "
                f"{image.identity}. Remove the wrong one, then run again.",
            )
        )


async def _create(engine: Engine, spec: ContainerSpec, place: Place) -> str:
    file, variables = place.variables, client_variables(spec)
    arguments = create_arguments(spec, engine, variables_file=file, with_init=True)
    try:
        return (await engine.ask(*arguments, variables=variables)).strip()
    except EngineFailed as failure:
        if _NO_INIT not in (failure.detail or ""):
            raise
    _log.warning("init_missing", advice="install catatonit: nothing reaps a step's orphans")
    arguments = create_arguments(spec, engine, variables_file=file, with_init=False)
    return (await engine.ask(*arguments, variables=variables)).strip()


_TOO_LONG = user_failure(
    "exit_code",
    "exited with 126: its arguments and variables are too long to be started with",
)
