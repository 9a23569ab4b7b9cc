"""The agent's encrypted file of secrets, made for a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animus.adapters.secret_stores.age import AgeFile, make_identity


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFile:
    content: AgeFile

    @classmethod
    def make(cls, folder: Path) -> SecretFile:
        content = AgeFile(file=folder / "secrets.age", identity_file=folder / "secrets.identity")
        make_identity(content.identity_file)
        return cls(content=content)

    @property
    def settings(self) -> dict[str, Any]:
        """Of the agent, its section `secrets`."""
        named = {"file": self.content.file, "identity_file": self.content.identity_file}
        return {"age": {key: str(path) for key, path in named.items()}}

    def put(self, project_id: object, **values: str) -> None:
        """By references without a slash, in the place of what was there."""
        with self.content.changing() as projects:
            projects.setdefault(str(project_id), {}).update(values)

    def remove(self, project_id: object, reference: str) -> None:
        with self.content.changing() as projects:
            del projects[str(project_id)][reference]
