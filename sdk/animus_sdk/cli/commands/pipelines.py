"""pipeline: checking files, and what is registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer
import yaml

from animus_sdk.cli.failures import FileRefused
from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.wording import ago_words, count_words
from animus_sdk.cli.written_files import WrittenFile, read_written_file
from animus_sdk.errors import ApiError
from animus_sdk.wire.views import CheckedPipeline

_File = Annotated[str, typer.Argument(metavar="FILE", help="YAML or JSON; '-' for standard input.")]
V = TypeVar("V")


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="pipeline", help="Pipelines.")
    command(group, "check")(check_pipeline)
    command(group, "show")(show_pipeline)
    command(group, "list")(list_pipelines)
    command(group, "register")(register_pipeline)


def check_pipeline(here: Session, file: _File) -> None:
    """Check a file. Every fault is told with its line and column; nothing is kept."""
    written = read_written_file(file)
    checked = placed(written, lambda: here.client.pipelines.check(written.value))
    steps = len(checked["spec"]["spec"]["steps"])
    here.screen.answer(
        checked,
        lambda: here.screen.line(
            f"{written.name} is a pipeline of {count_words(steps, 'step')}: {checked['digest']}"
        ),
    )


def show_pipeline(
    here: Session,
    reference: Annotated[str, typer.Argument(metavar="FILE|DIGEST", help="A file, or a digest.")],
) -> None:
    """The explicit form, as it is stored, hashed and planned."""
    if reference.startswith("sha256:"):
        found = here.client.pipelines.get(reference)
        _show(here, {"digest": found["digest"], "spec": found["spec"]})
        return
    written = read_written_file(reference)
    _show(here, placed(written, lambda: here.client.pipelines.check(written.value)))


def list_pipelines(here: Session) -> None:
    """The pipelines that are registered in the project."""
    found = here.client.pipelines.all()
    here.screen.answer(
        found,
        lambda: here.screen.table(
            ["name", "steps", "registered", "digest"],
            [
                [
                    one["name"],
                    str(len(one["spec"]["spec"]["steps"])),
                    ago_words(one["created_at"]),
                    one["digest"],
                ]
                for one in found
            ],
        ),
    )


def register_pipeline(
    here: Session,
    file: _File,
    *,
    not_secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POINTER", help="Where something looks like a credential, and is none."
        ),
    ] = None,
) -> None:
    """Keep a pipeline by its digest. Submitting a run does this by itself."""
    written = read_written_file(file)
    kept = placed(
        written,
        lambda: here.client.pipelines.register(written.value, not_secret=not_secret or ()),
        below="/pipeline",
    )
    here.screen.answer(
        kept, lambda: here.screen.line(f"Registered {kept['name']}: {kept['digest']}")
    )


def placed(written: WrittenFile, ask: Callable[[], V], *, below: str = "") -> V:
    """The answer; a refusal with the lines and columns of the file. `below` is where the request
    holds the file's content, for operations whose pointers begin at the request."""
    try:
        return ask()
    except ApiError as error:
        if not error.errors:
            raise
        if below and not any(fault.pointer.startswith(below) for fault in error.errors):
            below = ""
        raise FileRefused(error, (below, written)) from None


def _show(here: Session, pipeline: CheckedPipeline) -> None:
    def render() -> None:
        here.screen.note(pipeline["digest"])
        here.screen.raw(yaml.safe_dump(pipeline["spec"], sort_keys=False, allow_unicode=True))

    here.screen.answer(pipeline, render)
