"""The parts that images are made of, each built once into the cache, whole or not at all.

What a part is made from decides its directory, so a part that exists is right.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.embedded.console import Console, Progress
from deploy.embedded.locks import locked
from deploy.images.errors import ImageBuildFailed
from deploy.images.layers import Layer, write_layer
from deploy.images.packages import LockedPackage, PackageKind

GIB = 1024**3
NEEDED_SPACE = 3 * GIB
"""Measured: 1.5 GiB while the largest part is built, and as much again in the engine's storage."""

KEY_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the making of one part works with."""

    tree: Path
    """Empty at first; its files become the layer."""
    scratch: Path
    progress: Progress


Make = Callable[[Bench], tuple[LockedPackage, ...]]
"""Fills the tree and says what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A layer with what it holds."""

    layer: Layer
    packages: tuple[LockedPackage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where parts and images are kept, and whom to tell about it."""

    home: Path
    console: Console

    def directory(self, name: str, inputs: Mapping[str, object]) -> Path:
        """Where something made of `inputs` (JSON values) belongs."""
        described = json.dumps(inputs, sort_keys=True).encode()
        return self.home / f"{name}-{hashlib.sha256(described).hexdigest()[:KEY_LENGTH]}"

    def obtain_part(self, what: str, *, at: Path, make: Make, refresh: bool = False) -> Part:
        """The part in the directory `at`; made now if it is not there. Safe to call at once."""
        if refresh or not at.exists():
            with self.exclusive(at):
                if refresh:
                    shutil.rmtree(at, ignore_errors=True)
                if not at.exists():
                    self._make_part(what, at=at, make=make)
        return _read_part(at)

    @contextmanager
    def exclusive(self, at: Path) -> Iterator[None]:
        self._make_home()
        waiting = f"    waiting: another process is making {at.name}"
        with locked(at.with_name(f".{at.name}.lock"), on_wait=lambda: self.console.say(waiting)):
            yield

    @contextmanager
    def scratch(self, at: Path) -> Iterator[Path]:
        """A directory on the same file system, gone afterwards. Call with the lock of `at` held."""
        prefix = f".{at.name}.making."
        for abandoned in self.home.glob(f"{prefix}*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=self.home) as path:
            yield Path(path)

    def _make_part(self, what: str, *, at: Path, make: Make) -> None:
        self._check_space()
        progress = self.console.progress(what)
        try:
            with self.scratch(at) as scratch:
                tree, finished = scratch / "tree", scratch / "part"
                tree.mkdir()
                finished.mkdir()
                packages = make(Bench(tree=tree, scratch=scratch, progress=progress))
                layer = write_layer(tree, finished / "layer.tar")
                _write_part(finished, Part(layer=layer, packages=packages))
                finished.rename(at)
        except BaseException:
            progress.fail()
            raise
        progress.done()

    def _make_home(self) -> None:
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageBuildFailed(
                f"The cache directory {self.home} can't be made ({error.strerror}). "
                "Set XDG_CACHE_HOME to a directory that you may write to."
            ) from error

    def _check_space(self) -> None:
        free = shutil.disk_usage(self.home).free
        if free < NEEDED_SPACE:
            raise ImageBuildFailed(
                f"Building the images needs {NEEDED_SPACE / GIB:.0f} GiB on the disk of "
                f"{self.home}; {free / GIB:.1f} GiB are free. Free some space, or set "
                "XDG_CACHE_HOME to a directory on a larger disk."
            )


def _write_part(home: Path, part: Part) -> None:
    document = {
        "digest": part.layer.digest,
        "size": part.layer.size,
        "packages": [asdict(package) for package in part.packages],
    }
    (home / "part.json").write_text(json.dumps(document, indent=1))


def _read_part(home: Path) -> Part:
    document = json.loads((home / "part.json").read_text())
    return Part(
        layer=Layer(tar=home / "layer.tar", digest=document["digest"], size=document["size"]),
        packages=tuple(
            LockedPackage(**package | {"kind": PackageKind(package["kind"])})
            for package in document["packages"]
        ),
    )
