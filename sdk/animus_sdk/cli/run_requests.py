"""What a person asks to run, as options, made into the request that the gateway reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from animus_sdk.cli.code_requests import (
    code_words,
    pack_committed,
    pack_short_path,
    pack_with_changes,
    secret_words,
)
from animus_sdk.cli.data_requests import DataRequest, find_paths, manifest_words, read_data
from animus_sdk.cli.failures import FileRefused
from animus_sdk.cli.image_requests import ImageResolver, image_words
from animus_sdk.cli.lock_requests import LockRequest, make_lock, read_lock
from animus_sdk.cli.one_step_pipelines import (
    OneStep,
    fault_of_option,
    one_step_pipeline,
    pipeline_name,
)
from animus_sdk.cli.pairs import said_pairs
from animus_sdk.cli.written_files import STDIN, WrittenFile, parse_value, read_written_file
from animus_sdk.client import Client
from animus_sdk.errors import ApiError, SettingsUnfit
from animus_sdk.resources.sources import code_reference
from animus_sdk.source import SourcePack
from animus_sdk.transfer.manifests import Manifest
from animus_sdk.wire.views import RunDetail

Inferred = tuple[str, str]
"""What was found out here, and what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """As they are said on the command line."""

    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|RUN",
            help="The pipeline, in YAML or JSON; or a run that is to be repeated, such as @last.",
        ),
    ] = None
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ALIAS=DATASET",
            help="NAME, NAME@3, NAME@latest, a version's id or digest; or a path, which is pushed.",
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
    """The file with the pipeline, if there is one."""
    lock: LockRequest
    pack: SourcePack | None = field(repr=False)
    manifests: dict[str, Manifest] = field(repr=False)
    """By alias: datasets that were given as paths."""
    step: OneStep | None = None
    """The short path; there is no file then."""
    repeats: RunDetail | None = None
    """The run that this is asked for again; there is no file then either."""
    inferred: tuple[Inferred, ...] = ()

    def refused(self, error: ApiError) -> ApiError | FileRefused:
        """The error with the places in the files, or with the options, if it names any."""
        if not error.errors:
            return error
        if self.step is not None:
            return _at_options(error, self.step)
        files = [("/pipeline", self.written)] if self.written is not None else []
        if self.lock.file is not None:
            files.append(("/environment_lock/document", self.lock.file))
        return FileRefused(error, *files) if files else error


def draft_run(client: Client, said: RunOptions, step: OneStep | None) -> RunDraft:
    """Reads files and git, asks for images, hashes data. Asks of the gateway only what it takes to
    read what was said: a lock by the end of its id, a dataset that is called like a file, and
    where the clusters have their images from."""
    images = ImageResolver(client, said.cluster)
    if step is None:
        return _draft_of_file(client, said, images)
    return _draft_of_step(client, said, step, images)


def _draft_of_file(client: Client, said: RunOptions, images: ImageResolver) -> RunDraft:
    assert said.file is not None  # or it would be a step
    written = read_written_file(said.file)
    pinned = dict(images.pin(written.value))
    paths = find_paths(client, said.data or ())
    pack = _pack(said, said.file, paths)
    data = read_data(said.data or (), paths)
    lock = read_lock(client, said.lock)
    return RunDraft(
        request=_request(said, pipeline=written.value, data=data, lock=lock, pack=pack),
        written=written,
        lock=lock,
        pack=pack,
        manifests=data.manifests,
        inferred=tuple(pinned.items()),
    )


def _draft_of_step(
    client: Client, said: RunOptions, step: OneStep, images: ImageResolver
) -> RunDraft:
    """What fails soonest comes first: data may take a while."""
    folder = said.code or Path.cwd()
    image = images.resolve(step.image)
    lock = make_lock(client, said.lock, image=image, folder=folder)
    paths = find_paths(client, said.data or ())
    pack = _short_pack(said, folder, paths)
    name, name_from = pipeline_name(
        step.options.name,
        folder=folder.resolve(),
        repository_url=pack.repo_url if pack is not None and not pack.path else None,
    )
    data = read_data(said.data or (), paths)
    pipeline = one_step_pipeline(
        step, name=name, reference=image.reference, aliases=list(data.references)
    )
    inferred = [
        ("pipeline", f"{name} ({name_from})"),
        *_code_inferred(pack, production=said.production),
        ("image", image_words(image)),
        *([("packages", lock.words)] if lock.words else []),
        *((f"data {alias}", manifest_words(one)) for alias, one in data.manifests.items()),
    ]
    return RunDraft(
        request=_request(said, pipeline=pipeline, data=data, lock=lock, pack=pack),
        written=None,
        step=step,
        lock=lock,
        pack=pack,
        manifests=data.manifests,
        inferred=tuple(inferred),
    )


def _request(
    said: RunOptions,
    *,
    pipeline: dict[str, Any],
    data: DataRequest,
    lock: LockRequest,
    pack: SourcePack | None,
) -> dict[str, Any]:
    request: dict[str, Any] = {
        "classification": "production" if said.production else "development",
        "pipeline": pipeline,
        "datasets": data.references,
        "parameters": {k: parse_value(v) for k, v in said_pairs(said.param or (), "-p")},
        "labels": dict(said_pairs(said.label or (), "--label")),
        "reason": said.reason,
        "ticket": said.ticket,
        "not_secret": said.not_secret or [],
    }
    optional = {
        "code": code_reference(pack) if pack is not None else None,
        "environment_lock": lock.reference,
        "cluster": said.cluster,
    }
    return {**request, **{key: value for key, value in optional.items() if value is not None}}


def _pack(said: RunOptions, file: str, paths: Mapping[str, Path]) -> SourcePack | None:
    if not _takes_code(said):
        return None
    folder = said.code or (Path.cwd() if file == STDIN else Path(file).parent)
    pack = pack_with_changes if said.allow_dirty else pack_committed
    return pack(folder, paths.values())


def _short_pack(said: RunOptions, folder: Path, paths: Mapping[str, Path]) -> SourcePack | None:
    if not _takes_code(said):
        return None
    return pack_short_path(folder, paths.values(), production=said.production)


def _takes_code(said: RunOptions) -> bool:
    if said.no_code and said.code is not None:
        raise SettingsUnfit("Say --code or --no-code, not both.", code="usage")
    if said.allow_dirty and said.production:
        raise SettingsUnfit(
            "Production runs what is committed. Commit, and leave out --allow-dirty.", code="usage"
        )
    return not said.no_code


def _code_inferred(pack: SourcePack | None, *, production: bool) -> Iterable[Inferred]:
    if pack is None:
        return
    yield "code", code_words(pack, taken=not production)
    left_out = secret_words(pack)
    if left_out is not None:
        yield "left out", left_out


def _at_options(error: ApiError, step: OneStep) -> ApiError:
    return ApiError(
        error.message,
        code=error.code,
        status=error.status,
        request_id=error.request_id,
        errors=[fault_of_option(fault, step) for fault in error.errors],
        retryable=error.retryable,
        document=error.problem(),
    )
