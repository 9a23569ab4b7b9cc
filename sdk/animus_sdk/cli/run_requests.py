"""What a person asks to run, as options, made into the request that the gateway reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from animus_sdk.cli.failures import FileRefused
from animus_sdk.cli.written_files import STDIN, WrittenFile, parse_value, read_written_file
from animus_sdk.client import Client
from animus_sdk.errors import ApiError, SettingsUnfit
from animus_sdk.printable import printable
from animus_sdk.resources.references import LATEST, is_id
from animus_sdk.resources.sources import code_reference
from animus_sdk.source import SourceError, SourcePack, build_source_pack
from animus_sdk.transfer.manifests import Manifest, find_files, hash_files
from animus_sdk.wire.views import RunDetail

DIGEST_PREFIX = "sha256:"
FILE_SUFFIXES = (".yaml", ".yml", ".json")
SHOWN_CHANGES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """As they are said on the command line."""

    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN",
            help="The pipeline, in YAML or JSON; or a run that is to be repeated, such as @last.",
        ),
    ]
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ALIAS=DATASET",
            help="NAME, NAME@3, NAME@latest, a version's id or digest; with a '/' it is a path.",
        ),
    ] = None
    param: Annotated[
        list[str] | None,
        typer.Option("-p", "--param", metavar="KEY=VALUE", help="JSON, or else text."),
    ] = None
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="To find it again.")
    ] = None
    production: Annotated[
        bool, typer.Option("--production", help="Else it is for development.")
    ] = False
    lock: Annotated[
        str | None,
        typer.Option(metavar="LOCK", help="Its lock: NAME@latest, id, digest, file."),
    ] = None
    reason: Annotated[str, typer.Option(help="Why; whoever approves reads it.")] = ""
    ticket: Annotated[str, typer.Option(help="Where it was asked for.")] = ""
    cluster: Annotated[str | None, typer.Option(help="Where it runs, if there are several.")] = None
    code: Annotated[
        Path | None, typer.Option(help="The directory with its code (default: that of FILE).")
    ] = None
    no_code: Annotated[bool, typer.Option("--no-code", help="Everything is in the image.")] = False
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="In development: run what is not committed.")
    ] = False
    not_secret: Annotated[
        list[str] | None,
        typer.Option(metavar="POINTER", help="What looks like a credential, and is none."),
    ] = None
    expect: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Stop if the plan has another digest.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDraft:
    """The request, and what it needs that only this machine has."""

    request: dict[str, Any]
    written: WrittenFile | None
    """None where a run is repeated."""
    lock_file: WrittenFile | None
    pack: SourcePack | None = field(repr=False)
    manifests: dict[str, Manifest] = field(repr=False)
    """By alias: datasets that were given as paths."""
    repeats: RunDetail | None = None
    """The run that this is asked for again."""

    def refused(self, error: ApiError) -> ApiError | FileRefused:
        """The error with the places in the files, if it names any."""
        if not error.errors:
            return error
        files = [("/pipeline", self.written)] if self.written is not None else []
        if self.lock_file is not None:
            files.append(("/environment_lock/document", self.lock_file))
        return FileRefused(error, *files) if files else error


def draft_run(client: Client, said: RunOptions) -> RunDraft:
    """Reads files and git, hashes data; asks the gateway only for a lock by the end of its id."""
    written = read_written_file(said.file)
    pack = _pack(said)
    references, manifests = read_data(said.data or ())
    lock, lock_file = read_lock(client, said.lock)
    request: dict[str, Any] = {
        "classification": "production" if said.production else "development",
        "pipeline": written.value,
        "datasets": references,
        "parameters": {k: parse_value(v) for k, v in read_pairs(said.param or (), "-p")},
        "labels": dict(read_pairs(said.label or (), "--label")),
        "reason": said.reason,
        "ticket": said.ticket,
        "not_secret": said.not_secret or [],
    }
    optional = {
        "code": code_reference(pack) if pack is not None else None,
        "environment_lock": lock,
        "cluster": said.cluster,
    }
    request.update({key: value for key, value in optional.items() if value is not None})
    return RunDraft(
        request=request, written=written, lock_file=lock_file, pack=pack, manifests=manifests
    )


def _pack(said: RunOptions) -> SourcePack | None:
    if said.no_code:
        if said.code is not None:
            raise SettingsUnfit("Say --code or --no-code, not both.", code="usage")
        return None
    if said.allow_dirty and said.production:
        raise SettingsUnfit(
            "Production runs what is committed. Commit, and leave out --allow-dirty.", code="usage"
        )
    folder = said.code or (Path.cwd() if said.file == STDIN else Path(said.file).parent)
    try:
        pack = build_source_pack(folder, include_changes=said.allow_dirty)
    except SourceError as error:
        raise SourceError(
            f"{error.message} (To run without code beside the image: --no-code)", code=error.code
        ) from None
    if pack.is_dirty and not said.allow_dirty:
        raise SettingsUnfit(_dirty(folder, pack.changed_paths), code="uncommitted_changes")
    return pack


def _dirty(folder: Path, changed: Sequence[str]) -> str:
    names = ", ".join(printable(path) for path in changed[:SHOWN_CHANGES])
    more = f" and {len(changed) - SHOWN_CHANGES} more" if len(changed) > SHOWN_CHANGES else ""
    return (
        f"What is in {printable(str(folder))} is not what is committed: {names}{more}. Commit it;"
        " in development --allow-dirty runs it as it is."
    )


def read_data(said: Sequence[str]) -> tuple[dict[str, Any], dict[str, Manifest]]:
    references: dict[str, Any] = {}
    manifests: dict[str, Manifest] = {}
    for alias, value in read_pairs(said, "--data"):
        if "/" in value:
            manifests[alias] = hash_files(find_files([Path(value).expanduser()]))
            references[alias] = {"digest": manifests[alias].digest}
        else:
            references[alias] = _dataset_reference(value)
    return references, manifests


def _dataset_reference(value: str) -> dict[str, Any]:
    """A name, `name@3`, `name@latest`, a version's id, or a digest."""
    if value.startswith(DIGEST_PREFIX):
        return {"digest": value}
    if is_id(value):
        return {"version_id": value}
    name, _, version = value.partition("@")
    if version in ("", LATEST):
        return {"name": name}
    if not version.isdecimal():
        raise SettingsUnfit(
            f"A dataset is written as NAME, NAME@3, NAME@latest or ./PATH, not"
            f" {printable(value)!r}.",
            code="usage",
        )
    return {"name": name, "version": int(version)}


def read_lock(client: Client, said: str | None) -> tuple[dict[str, Any] | None, WrittenFile | None]:
    """By id, digest, the end of an id, `NAME@VERSION`; or the lock itself, in a file."""
    if said is None:
        return None, None
    if is_id(said):
        return {"id": said}, None
    if said.startswith(DIGEST_PREFIX):
        return {"digest": said}, None
    if "/" in said or said.endswith(FILE_SUFFIXES):
        written = read_written_file(said)
        return {"document": written.value}, written
    return {"id": client.environments.resolve_lock(said)["id"]}, None


def read_pairs(said: Sequence[str], option: str) -> list[tuple[str, str]]:
    pairs = [(text.partition("=")[0], text.partition("=")[2]) for text in said]
    for text, (key, _) in zip(said, pairs, strict=True):
        if not key or "=" not in text:
            raise SettingsUnfit(
                f"{option} is written as NAME=VALUE, not {printable(text)!r}.", code="usage"
            )
    keys = [key for key, _ in pairs]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise SettingsUnfit(f"{option} {printable(twice)!r} is there twice.", code="usage")
    return pairs
