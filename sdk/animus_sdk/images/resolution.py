"""From an image's name to its digest: who is asked, in which order, and what is said at last."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from animus_sdk.errors import AnimusError, Unreachable
from animus_sdk.images.engines import find_in_engine, local_engines
from animus_sdk.images.found import FoundImage, ImageNotFound, ImageUnresolved
from animus_sdk.images.names import ImageName
from animus_sdk.images.registries import find_in_registry, has_registry
from animus_sdk.printable import printable

NOBODY = "there is no podman or docker here to ask."
Place = tuple[str, Callable[[], FoundImage | None]]


def resolve_image(name: ImageName, *, pulls: bool) -> FoundImage:
    """The image under its digest. `pulls` says that the cluster gets images from registries: they
    are asked first then, and the engine of this machine before them otherwise.

    Raises `ImageNotFound` or `ImageUnresolved`.
    """
    if name.digest is not None:
        return FoundImage(
            repository=name.full_repository, manifest_digest=name.digest, by="as written"
        )
    places = (
        [*_registries(name), *_engines(name)] if pulls else [*_engines(name), *_registries(name)]
    )
    asked: list[str] = []
    problems: list[AnimusError] = []
    for place, find in places:
        try:
            found = find()
        except (ImageUnresolved, Unreachable) as problem:
            problems.append(problem)
            continue
        if found is not None:
            return found
        asked.append(place)
    raise _not_found(name, asked, problems)


def _engines(name: ImageName) -> Iterator[Place]:
    for engine in local_engines():
        yield engine.name, lambda engine=engine: find_in_engine(name, engine)  # type: ignore[misc]


def _registries(name: ImageName) -> Iterator[Place]:
    if has_registry(name):
        yield f"the registry {name.host}", lambda: find_in_registry(name)


def _not_found(name: ImageName, asked: list[str], problems: list[AnimusError]) -> AnimusError:
    """Who was asked and has none, and what the others said; `ImageUnresolved` says what to do."""
    said = [problem.message for problem in problems]
    if any(isinstance(problem, ImageUnresolved) for problem in problems):
        return ImageUnresolved(" ".join(said))
    if asked:
        said.insert(0, f"{' and '.join(asked)} {'has' if len(asked) == 1 else 'have'} none.")
    return ImageNotFound(
        f"There is no image {printable(name.tagged)!r}: {' '.join(said) or NOBODY} Build it or pull"
        f" it ('podman pull {name.tagged}'), or name it by its digest (NAME@sha256:…)."
    )
