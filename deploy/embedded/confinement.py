"""Lets an unprivileged service reach what it needs below directories that it may not enter.

A checkout, a cache or a Python may lie below /root (0700). Nobody's permissions are changed:
the service gets a mount namespace of its own in which such a directory is covered by an empty
one, and only the paths it needs are bound back.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deploy.embedded.accounts import Identity

LAUNCHER = Path(__file__).resolve().parent / "launcher.py"

Step = tuple[str, ...]


def view_for(identity: Identity, needed: Iterable[Path]) -> tuple[Step, ...]:
    """The mounts after which `identity` reaches every path in `needed`; none if it already does.

    Shorter paths come first: what is bound with a directory needs no step of its own, unless
    something between that directory and it is closed.
    """
    if identity.uid == 0:
        return ()
    plan = _Plan(identity=identity)
    paths = sorted(set(needed))
    for path in sorted({path.resolve(strict=True) for path in paths}):
        plan.reach(path)
    for path in paths:
        plan.keep_links(path)
    return tuple(plan.steps)


def confined(command: tuple[str, ...], view: tuple[Step, ...]) -> tuple[str, ...]:
    """`command` started inside `view`."""
    if not view:
        return command
    return (sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(view), *command)


@dataclass(slots=True, kw_only=True)
class _Plan:
    identity: Identity
    steps: list[Step] = field(default_factory=list)
    bound: list[Path] = field(default_factory=list)
    covered: list[Path] = field(default_factory=list)

    def reach(self, path: Path) -> None:
        closed = self._first_closed(path)
        if closed is None:
            return
        if closed not in self.covered:
            self._cover(closed)
        if self._may_enter(path):
            self._bind(path)
        else:  # the path itself is closed: an open directory in its place, with what is in it
            if path not in self.covered:
                self._cover(path)
            for child in sorted(path.iterdir()):
                if child.is_symlink():
                    self.steps.append(("link", str(child), str(child.readlink())))
                elif self._may_enter(child):  # what its owner closed on purpose stays away
                    self._bind(child)

    def keep_links(self, path: Path) -> None:
        """Make again those symbolic links on the way to `path` that a covered directory hides."""
        for link in _links_on(path):
            step = ("link", str(link), str(link.readlink()))
            if self._is_hidden(link) and step not in self.steps:
                self.steps.append(step)

    def _first_closed(self, path: Path) -> Path | None:
        base = max((b for b in self.bound if path.is_relative_to(b)), default=Path("/"))
        for place in reversed((path, *path.parents)):
            if place != base and place.is_relative_to(base) and not self._may_enter(place):
                return place
        return None

    def _is_hidden(self, path: Path) -> bool:
        cover = max((c for c in self.covered if path.is_relative_to(c)), default=None)
        bound = max((b for b in self.bound if path.is_relative_to(b)), default=Path("/"))
        return cover is not None and not bound.is_relative_to(cover)

    def _may_enter(self, path: Path) -> bool:
        found = path.stat()
        if not stat.S_ISDIR(found.st_mode):
            return True
        if found.st_uid == self.identity.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.identity.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)

    def _cover(self, path: Path) -> None:
        self.steps.append(("cover", str(path)))
        self.covered.append(path)

    def _bind(self, path: Path) -> None:
        self.steps.append(("bind", str(path)))
        self.bound.append(path)


def _links_on(path: Path) -> Iterator[Path]:
    """Every symbolic link met while `path` is resolved, in order."""
    pending = list(reversed(path.parts[1:]))
    place = Path("/")
    while pending:
        place = Path(os.path.normpath(place / pending.pop()))
        if place.is_symlink():
            yield place
            target = place.readlink()
            pending.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
            place = Path("/") if target.is_absolute() else place.parent
