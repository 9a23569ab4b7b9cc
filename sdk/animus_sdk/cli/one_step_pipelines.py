"""The short path's options, and the pipeline of one step that they mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer

from animus_sdk.cli.pairs import said_pairs
from animus_sdk.errors import Fault, SettingsUnfit
from animus_sdk.printable import printable

PANEL = "Without FILE: one step"
DEFAULT_STEP = "main"
LONGEST_NAME = 63
_FILES = (".yaml", ".yml", ".json")
_PROGRAM_FILES = (".py", ".sh", ".r", ".jl")
_OPTIONS = {"image": "--image", "cpu": "--cpu", "memory": "--memory", "gpu": "--gpu",
            "timeout": "--timeout", "run": "the command after '--'"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """As they are said on the command line."""

    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="Without FILE: what the one step runs."),
    ] = None
    image: Annotated[
        str | None,
        typer.Option(help="What it runs in; a tag is resolved here.", rich_help_panel=PANEL),
    ] = None
    out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=PATH]", help="An output, below /animus/out.", rich_help_panel=PANEL
        ),
    ] = None
    name: Annotated[
        str | None,
        typer.Option(help="The pipeline's (default: the repository's).", rich_help_panel=PANEL),
    ] = None
    cpu: Annotated[
        str | None, typer.Option(help="Cores, such as 2 or 500m.", rich_help_panel=PANEL)
    ] = None
    memory: Annotated[str | None, typer.Option(help="Such as 4Gi.", rich_help_panel=PANEL)] = None
    gpu: Annotated[int | None, typer.Option(help="How many.", rich_help_panel=PANEL)] = None
    timeout: Annotated[
        str | None, typer.Option(help="Such as 30m or 2h.", rich_help_panel=PANEL)
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OneStep:
    """What the short path runs."""

    image: str
    """As it was said."""
    words: tuple[str, ...]
    options: StepOptions

    @property
    def step_name(self) -> str:
        """After the script, or the program."""
        script = next((w for w in self.words if w.lower().endswith(_PROGRAM_FILES)), self.words[0])
        return cleaned_name(PurePosixPath(script).stem) or DEFAULT_STEP


def find_one_step(
    file: str | None, options: StepOptions, *, line: str = "animus run submit"
) -> OneStep | None:
    """None where a FILE is meant. Raises `SettingsUnfit` where neither or both are; `line` begins
    the command line that would do."""
    words = (*((file,) if file is not None else ()), *(options.command or ()))
    if options.image is None:
        _check_file_alone(file, options, line)
        return None
    if not words:
        raise SettingsUnfit(
            f"Say what runs in the image: {line} --image IMAGE -- python train.py",
            code="usage",
        )
    if len(words) == 1 and words[0].endswith(_FILES):
        raise SettingsUnfit(
            f"{printable(words[0])} looks like a pipeline, which names its images itself: leave out"
            " --image. A command stands after '--'.",
            code="usage",
        )
    return OneStep(image=options.image, words=words, options=options)


def _check_file_alone(file: str | None, options: StepOptions, line: str) -> None:
    if file is None:
        raise SettingsUnfit(
            "Say FILE, which holds the pipeline; or, without one, --image IMAGE and after '--' the"
            f" command: {line} --image IMAGE -- python train.py",
            code="usage",
        )
    if options.command:
        raise SettingsUnfit(
            f"A command goes with --image IMAGE, and without FILE: {line} --image IMAGE -- python"
            " train.py",
            code="usage",
        )
    said = [f"--{one.name}" for one in fields(options) if getattr(options, one.name) is not None]
    if said and said != ["--command"]:
        raise SettingsUnfit(f"{', '.join(said)}: with FILE, that is written in it.", code="usage")


def one_step_pipeline(
    step: OneStep, *, name: str, reference: str, aliases: Sequence[str]
) -> dict[str, Any]:
    """In the short form, so that what is not said has the same defaults as there."""
    options = step.options
    said = {
        "image": reference,
        "run": list(step.words),
        "data": {alias: alias for alias in aliases} or None,
        "out": _outputs(options.out or ()) or None,
        "cpu": options.cpu,
        "memory": options.memory,
        "gpu": options.gpu,
        "timeout": options.timeout,
    }
    kept = {key: value for key, value in said.items() if value is not None}
    return {"apiVersion": "animus/v1", "pipeline": name, "steps": {step.step_name: kept}}


def pipeline_name(said: str | None, *, folder: Path, repository_url: str | None) -> tuple[str, str]:
    """The name, and where it is from. Raises `SettingsUnfit` where nothing gives one."""
    if said is not None:
        return said, "as said"
    last = (repository_url or "").rstrip("/").replace(":", "/").rpartition("/")[2]
    for candidate, source in ((last.removesuffix(".git"), "repository"), (folder.name, "folder")):
        if name := cleaned_name(candidate):
            return name, f"the {source}'s name"
    raise SettingsUnfit(
        "The folder's name gives no name for the pipeline. Say one: --name NAME", code="usage"
    )


def cleaned_name(text: str) -> str:
    """As near to it as a name can be; empty where nothing of it can be in one."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("._-")[:LONGEST_NAME].rstrip("._-")


def fault_of_option(fault: Fault, step: OneStep) -> Fault:
    """The fault at the option that a person would change."""
    pointer = fault.pointer.removeprefix("/body").removeprefix("/pipeline")
    if pointer == "/pipeline":
        return replace(fault, pointer="--name")
    key, _, rest = pointer.removeprefix(f"/steps/{step.step_name}/").partition("/")
    if key in ("out", "data"):
        return replace(fault, pointer=f"--{key} {rest.partition('/')[0]}".rstrip())
    return replace(fault, pointer=_OPTIONS.get(key, fault.pointer))


def _outputs(said: Sequence[str]) -> Mapping[str, str]:
    """`NAME` alone is a path too."""
    return dict(said_pairs([text if "=" in text else f"{text}={text}" for text in said], "--out"))
