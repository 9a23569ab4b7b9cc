"""Builds images into the cache: Debian base, libraries, SDK, launcher, and the image over them.

A change of the SDK rebuilds the SDK's layer alone.
"""

from __future__ import annotations

import functools
import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded.console import Console
from deploy.embedded.servers import cache_directory
from deploy.images import launchers, sdk
from deploy.images.bytecode import compile_tree
from deploy.images.debian import RELEASE, fetch_packages, unpack_packages
from deploy.images.definitions import DEBIAN_PACKAGES, LAUNCHER, SITE, ImageDefinition
from deploy.images.layouts import PLATFORM, ImageLayout, read_layout, write_layout
from deploy.images.packages import LockedPackage
from deploy.images.parts import Bench, Part, Workshop
from deploy.images.wheels import fetch_wheels, read_pins, unpack_wheels

LAYOUT = "layout"
STANDARD_LIBRARY = "usr/lib/python3.11"

RECIPE = 1
"""Raised when this package makes something else of the same inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage(ImageLayout):
    """An image in the cache, ready to be loaded, with what it holds."""

    platform: str
    packages: tuple[LockedPackage, ...]


def ensure_image(
    definition: ImageDefinition,
    *,
    console: Console,
    cache: Path | None = None,
    refresh: bool = False,
) -> BuiltImage:
    """The image from the cache, built if anything that it is made from has changed.

    Debian's packages are those of the day when the base was built; `refresh` takes today's.
    Raises `ImageBuildFailed`. Safe to call from several processes at once.
    """
    shop = Workshop(home=images_home(cache), console=console)
    base = _obtain_base(shop, refresh=refresh)
    parts = [base, _obtain_libraries(shop, definition, base), _obtain_sdk(shop, base)]
    if definition.has_launcher:
        parts.append(obtain_launcher(shop))
    layout = _obtain_layout(shop, definition, parts)
    return BuiltImage(
        path=layout.path,
        name=layout.name,
        manifest_digest=layout.manifest_digest,
        config_digest=layout.config_digest,
        platform=PLATFORM,
        packages=tuple(sorted(package for part in parts for package in part.packages)),
    )


def wheel_store(home: Path) -> Path:
    """Where downloaded wheels are kept, so that a rebuild needs no network."""
    return home / "wheels"


def images_home(cache: Path | None) -> Path:
    return (cache or cache_directory()) / "images"


def _obtain_base(shop: Workshop, *, refresh: bool) -> Part:
    inputs = {"recipe": RECIPE, "release": RELEASE, "packages": DEBIAN_PACKAGES}
    return shop.obtain_part(
        "image base: Debian packages",
        at=shop.directory("base", inputs),
        make=_make_base,
        refresh=refresh,
    )


def _obtain_libraries(shop: Workshop, definition: ImageDefinition, base: Part) -> Part:
    pins = hashlib.sha256(definition.requirements.read_bytes()).hexdigest()
    inputs = {"recipe": RECIPE, "base": base.layer.digest, "requirements": pins}
    return shop.obtain_part(
        f"image {definition.image_name}: Python libraries",
        at=shop.directory("libraries", inputs),
        make=functools.partial(
            _make_libraries, definition.requirements, wheel_store(shop.home), base
        ),
    )


def _obtain_sdk(shop: Workshop, base: Part) -> Part:
    sources = sdk.digest_of_sources()
    inputs = {"recipe": RECIPE, "base": base.layer.digest, "sdk": sources}
    return shop.obtain_part(
        "image layer with the SDK",
        at=shop.directory("sdk", inputs),
        make=functools.partial(_make_sdk, sources, base),
    )


def obtain_launcher(shop: Workshop) -> Part:
    sources = launchers.digest_of_sources()
    inputs = {"recipe": RECIPE, "launcher": sources}
    return shop.obtain_part(
        "image layer with the launcher",
        at=shop.directory("launcher", inputs),
        make=functools.partial(_make_launcher, shop, sources),
    )


def _obtain_layout(
    shop: Workshop, definition: ImageDefinition, parts: Sequence[Part]
) -> ImageLayout:
    layers = [part.layer for part in parts]
    inputs = {
        "recipe": RECIPE,
        "layers": [layer.digest for layer in layers],
        "settings": definition.settings,
    }
    at = shop.directory(definition.image_name, inputs)
    if not at.exists():
        with shop.exclusive(at), shop.scratch(at) as scratch:
            if not at.exists():
                made = scratch / "image"
                settings = definition.settings
                write_layout(
                    made / LAYOUT, name=definition.image_name, layers=layers, settings=settings
                )
                made.rename(at)
    return read_layout(at / LAYOUT, name=definition.image_name)


def _make_base(bench: Bench) -> tuple[LockedPackage, ...]:
    tick = bench.progress.tick
    packages = fetch_packages(DEBIAN_PACKAGES, scratch=bench.scratch, tick=tick)
    locked = unpack_packages(packages, tree=bench.tree)
    compile_tree(bench.tree, below=STANDARD_LIBRARY, interpreter=bench.tree, tick=tick)
    return locked


def _make_libraries(
    requirements: Path, store: Path, base: Part, bench: Bench
) -> tuple[LockedPackage, ...]:
    pins = read_pins(requirements)
    wheels = fetch_wheels(requirements, store=store, tick=bench.progress.tick)
    unpack_wheels((wheels[pin.sha256] for pin in pins), site=bench.tree / SITE)
    _compile_site(bench, base=base)
    return pins


def _make_sdk(sources: str, base: Part, bench: Bench) -> tuple[LockedPackage, ...]:
    into = bench.scratch / "wheel"
    wheel, locked = sdk.build_wheel(into, sources=sources, tick=bench.progress.tick)
    unpack_wheels([wheel], site=bench.tree / SITE)
    _compile_site(bench, base=base)
    return (locked,)


def _make_launcher(shop: Workshop, sources: str, bench: Bench) -> tuple[LockedPackage, ...]:
    built = launchers.build_launcher(
        bench.tree / LAUNCHER, sources=sources, console=shop.console, tick=bench.progress.tick
    )
    return (built,)


def _compile_site(bench: Bench, *, base: Part) -> None:
    interpreter = bench.scratch / "interpreter"
    interpreter.mkdir()
    unpack = ["tar", "--extract", "--file", str(base.layer.tar), "--directory", str(interpreter)]
    subprocess.run(unpack, check=True)
    tick = bench.progress.tick
    compile_tree(bench.tree, below=SITE, interpreter=interpreter, tick=tick)
