"""Secrets of steps: values that show themselves to nobody, and the one place where each may lie."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from animus.domain import patterns
from animus.domain.errors import Invalid
from animus.domain.ids import ProjectId
from animus.domain.pipelines import SecretReference

MAX_SECRET_BYTES = 64 * 1024
MAX_SECRETS_BYTES = 512 * 1024
"""Of one step together: a cluster keeps no larger object than 1 MiB, written in base64."""

_PATH = re.compile(patterns.PATH)


@dataclass(frozen=True, slots=True)
class SecretValue:
    """Bytes that are in no text of it, whoever prints it."""

    _content: bytes = field(repr=False)

    def reveal(self) -> bytes:
        """For who writes it where main reads it, or takes it out of what main says."""
        return self._content

    def __str__(self) -> str:
        return "SecretValue()"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSecret:
    """A secret under the name by which its step finds it."""

    name: str
    value: SecretValue


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretPlace:
    """Where a store keeps a secret: in the project's own corner, which no reference leaves."""

    project_id: ProjectId
    parts: tuple[str, ...]

    @property
    def path(self) -> str:
        """Below the store's root."""
        return "/".join((str(self.project_id), *self.parts))

    @property
    def reference(self) -> str:
        return "/".join(self.parts)


def place_of(project_id: ProjectId, reference: str) -> SecretPlace:
    """Raises `Invalid` for everything that is no plain relative path."""
    if not _PATH.fullmatch(reference):
        said = patterns.READABLE[patterns.PATH]
        raise Invalid(f"A secret's reference is a relative path. {said}")
    return SecretPlace(project_id=project_id, parts=tuple(reference.split("/")))


def places_of(
    project_id: ProjectId, references: tuple[SecretReference, ...]
) -> dict[str, SecretPlace]:
    """By the names that the step gives them."""
    return {one.name: place_of(project_id, one.secretRef) for one in references}
