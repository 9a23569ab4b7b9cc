"""`animusd secrets`: puts values into the agent's encrypted file. It never prints one."""

from __future__ import annotations

import sys
from pathlib import Path
from uuid import UUID

from animus.adapters.secret_stores.age import AgeFile, make_identity
from animus.domain.errors import Invalid, NotFound
from animus.domain.ids import ProjectId
from animus.domain.secrets import MAX_SECRET_BYTES, SecretPlace, place_of
from animusd.settings import AgentSettings, SettingsUnfit, read_settings


def init_secrets(settings_file: Path | None) -> None:
    """A new identity, where there is none."""
    content = _file_of(settings_file)
    try:
        make_identity(content.identity_file)
    except FileExistsError:
        raise Invalid(f"{content.identity_file} is there already. It is left as it is.") from None
    sys.stdout.write(f"Made {content.identity_file}. Keep a copy where only you can read it.\n")


def set_secret(settings_file: Path | None, project: str, *, reference: str) -> None:
    """The value is what comes over standard input, without the newline at its end."""
    place, value = _place(project, reference), _read_value()
    with _file_of(settings_file).changing() as content:
        content.setdefault(str(place.project_id), {})[place.reference] = value
    sys.stdout.write(f"Set {place.reference}. Attempts that start from now on get this value.\n")


def remove_secret(settings_file: Path | None, project: str, *, reference: str) -> None:
    place = _place(project, reference)
    with _file_of(settings_file).changing() as content:
        if content.get(str(place.project_id), {}).pop(place.reference, None) is None:
            raise NotFound("secret", place.path)
    sys.stdout.write(f"Removed {place.reference}.\n")


def list_secrets(settings_file: Path | None) -> None:
    """Projects' ids and references, and nothing of the values."""
    for project, secrets in sorted(_file_of(settings_file).read().items()):
        for reference in sorted(secrets):
            sys.stdout.write(f"{project} {reference}\n")


def _file_of(settings_file: Path | None) -> AgeFile:
    section = read_settings(AgentSettings, settings_file).agent.secrets
    if section is None or section.age is None:
        raise SettingsUnfit("These settings name no file of secrets: see agent.secrets.age.")
    return AgeFile(file=section.age.file, identity_file=section.age.identity_file)


def _place(project: str, reference: str) -> SecretPlace:
    try:
        project_id = ProjectId(UUID(project))
    except ValueError:
        raise Invalid(
            f"{project!r} is no project's id. 'animus project show NAME --json' tells it."
        ) from None
    return place_of(project_id, reference)


def _read_value() -> str:
    content = sys.stdin.buffer.read(MAX_SECRET_BYTES + 2).removesuffix(b"\n")
    if not content or len(content) > MAX_SECRET_BYTES:
        raise Invalid(f"A value has 1 to {MAX_SECRET_BYTES} bytes. Give it over standard input.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Invalid("The value is no UTF-8 text. Put it there in base64.") from None
