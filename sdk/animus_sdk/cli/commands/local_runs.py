"""run local: the same steps on this machine, without a platform. Never evidence."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from animus_sdk.cli.code_requests import code_words, pack_short_path, secret_words
from animus_sdk.cli.data_requests import manifest_words
from animus_sdk.cli.exit_codes import ExitCode
from animus_sdk.cli.failures import FileRefused
from animus_sdk.cli.local_screens import LocalScreen, show_end
from animus_sdk.cli.one_step_pipelines import (
    OneStep,
    StepOptions,
    fault_of_option,
    find_one_step,
    one_step_pipeline,
    pipeline_name,
)
from animus_sdk.cli.own_secrets import own_secrets
from animus_sdk.cli.pairs import said_pairs
from animus_sdk.cli.previews import show_inferred
from animus_sdk.cli.sessions import Session
from animus_sdk.cli.written_files import STDIN, WrittenFile, parse_value, read_written_file
from animus_sdk.errors import SettingsUnfit
from animus_sdk.images.names import parse_image_name
from animus_sdk.local.containers import ended_by_signals
from animus_sdk.local.engines import StepEngine, find_step_engine
from animus_sdk.local.folders import LOCAL, held, open_home
from animus_sdk.local.images import get_image
from animus_sdk.local.pipelines import LocalPipeline, PipelineUnfit, read_pipeline
from animus_sdk.local.runs import DATA, LocalRun, copy_data, new_folder
from animus_sdk.local.steps import check_parameters
from animus_sdk.printable import printable
from animus_sdk.source import SourcePack
from animus_sdk.transfer.manifests import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalOptions:
    """As they are said on the command line; a subset of what a run on a platform takes."""

    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="The pipeline, in YAML or JSON.")
    ] = None
    data: Annotated[
        list[str] | None, typer.Option(metavar="ALIAS=PATH", help="A file or a directory.")
    ] = None
    param: Annotated[
        list[str] | None,
        typer.Option("-p", "--param", metavar="KEY=VALUE", help="JSON, or else text."),
    ] = None
    code: Annotated[
        Path | None, typer.Option(help="The directory with its code (default: that of FILE).")
    ] = None
    no_code: Annotated[bool, typer.Option("--no-code", help="Everything is in the image.")] = False
    secret: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VARIABLE", help="One of your own, from a variable."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    pipeline: LocalPipeline
    source: SourcePack | None
    paths: Mapping[str, Path]
    """Of data, by alias."""
    parameters: dict[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    inferred: tuple[tuple[str, str], ...]


def run_locally(here: Session, said: LocalOptions, step: StepOptions) -> None:
    """Run a pipeline on this machine's podman or docker, without a platform: to try it.

    Of a FILE; or without one, of a command in an image. What comes of it is below .animus/local,
    and is no evidence: it can't be registered, promoted or approved.
    """
    draft = _draft(said, find_one_step(said.file, step, line="animus run local"))
    engine = find_step_engine()
    folder = new_folder(open_home(Path.cwd(), LOCAL), draft.pipeline.name)
    with ended_by_signals(), held(folder):
        run = _prepare(here, draft, engine, folder)
        end = run.to_end(LocalScreen(here.screen, run))
    here.screen.answer(end.document(), lambda: show_end(here.screen, end))
    raise typer.Exit(ExitCode.DONE if end.has_succeeded else ExitCode.RUN_FAILED)


def _draft(said: LocalOptions, step: OneStep | None) -> _Draft:
    """Reads files and git; asks nobody."""
    if said.no_code and said.code is not None:
        raise SettingsUnfit("Say --code or --no-code, not both.", code="usage")
    paths = _paths(said)
    folder = said.code or _folder_of(said, step)
    source = None if said.no_code else pack_short_path(folder, paths.values(), production=False)
    parameters = {key: parse_value(value) for key, value in said_pairs(said.param or (), "-p")}
    check_parameters(parameters)
    if step is None:
        assert said.file is not None  # or it would be a step
        written = read_written_file(said.file)
        pipeline, named = _of_file(written), "as written"
    else:
        pipeline, named = _of_step(step, folder, source, list(paths))
    _check_aliases(pipeline, paths)
    return _Draft(
        pipeline=pipeline,
        source=source,
        paths=paths,
        parameters=parameters,
        secrets=own_secrets(said.secret or (), {n for one in pipeline.steps for n in one.secrets}),
        inferred=(("pipeline", f"{pipeline.name} ({named})"), *_code_inferred(source)),
    )


def _folder_of(said: LocalOptions, step: OneStep | None) -> Path:
    is_file = step is None and said.file not in (None, STDIN)
    return Path(said.file or "").parent if is_file else Path.cwd()


def _paths(said: LocalOptions) -> dict[str, Path]:
    paths = {
        alias: Path(text).expanduser() for alias, text in said_pairs(said.data or (), "--data")
    }
    for alias, path in paths.items():
        if not path.exists():
            raise SettingsUnfit(
                f"--data {printable(alias)}: there is no {printable(str(path))} here. A dataset by"
                " its name is known to a platform alone: animus dataset download",
                code="usage",
            )
    return paths


def _of_file(written: WrittenFile) -> LocalPipeline:
    try:
        return read_pipeline(written.value)
    except PipelineUnfit as error:
        raise FileRefused(error, ("", written)) from None


def _of_step(
    step: OneStep, folder: Path, source: SourcePack | None, aliases: list[str]
) -> tuple[LocalPipeline, str]:
    parse_image_name(step.image)
    url = source.repo_url if source is not None and not source.path else None
    name, named = pipeline_name(step.options.name, folder=folder.resolve(), repository_url=url)
    written = one_step_pipeline(step, name=name, reference=step.image, aliases=aliases)
    try:
        return read_pipeline(written), named
    except PipelineUnfit as error:
        faults = tuple(fault_of_option(fault, step) for fault in error.errors)
        raise PipelineUnfit(error.message, faults) from None


def _check_aliases(pipeline: LocalPipeline, paths: Mapping[str, Path]) -> None:
    missing = sorted(pipeline.aliases - set(paths))
    if missing:
        options = " ".join(f"--data {alias}=PATH" for alias in missing)
        raise SettingsUnfit(f"The pipeline reads data that was not given: {options}", code="usage")
    unknown = sorted(set(paths) - pipeline.aliases)
    if unknown:
        known = ", ".join(sorted(pipeline.aliases)) or "none"
        raise SettingsUnfit(
            f"--data {printable(unknown[0])}: no step reads it. The pipeline reads: {known}.",
            code="usage",
        )


def _code_inferred(source: SourcePack | None) -> list[tuple[str, str]]:
    if source is None:
        return []
    left_out = secret_words(source)
    return [
        ("code", code_words(source, taken=True)),
        *([("left out", left_out)] if left_out is not None else []),
    ]


def _prepare(here: Session, draft: _Draft, engine: StepEngine, folder: Path) -> LocalRun:
    """What fails soonest comes first: images, then data, which may take a while."""
    images = {
        step.image: get_image(
            engine, step.image, shows=sys.stderr.isatty() and not here.screen.as_json
        )
        for step in draft.pipeline.steps
    }
    data = {alias: copy_data(path, folder / DATA / alias) for alias, path in draft.paths.items()}
    if not here.screen.as_json:
        _tell(here, draft, engine, images, data)
    return LocalRun(
        name=folder.name, folder=folder, pipeline=draft.pipeline, engine=engine, images=images,
        data=data, parameters=draft.parameters, secrets=draft.secrets, source=draft.source,
    )  # fmt: skip


def _tell(
    here: Session,
    draft: _Draft,
    engine: StepEngine,
    images: Mapping[str, str],
    data: Mapping[str, Manifest],
) -> None:
    show_inferred(
        here.screen,
        [
            *draft.inferred,
            *(("image", f"{written} ({engine.kind})") for written in images),
            *((f"data {alias}", manifest_words(one)) for alias, one in data.items()),
            ("runs", f"on this machine alone ({engine.words}): it is no evidence"),
        ],
    )
    here.screen.line()
