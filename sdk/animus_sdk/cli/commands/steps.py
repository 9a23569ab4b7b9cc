"""step: a step of a run on this machine, to see what it saw."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from animus_sdk.cli.failed_steps import FAILED
from animus_sdk.cli.own_secrets import own_secrets
from animus_sdk.cli.references import run_meant
from animus_sdk.cli.sessions import Session, command
from animus_sdk.cli.wording import count_words, size_words
from animus_sdk.errors import SettingsUnfit
from animus_sdk.local.containers import ended_by_signals
from animus_sdk.local.differences import differences
from animus_sdk.local.engines import StepEngine, find_step_engine
from animus_sdk.local.folders import STEPS, StepFolder, held, open_home, remove_tree, step_root
from animus_sdk.local.images import get_image
from animus_sdk.local.mains import SHELL, StepMain, Words
from animus_sdk.local.objects import cache_directory, make_private
from animus_sdk.local.steps import read_step
from animus_sdk.printable import printable
from animus_sdk.resources.references import UnknownReference
from animus_sdk.wire.step_views import AttemptInputs
from animus_sdk.wire.views import RunDetail


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellOptions:
    attempt: Annotated[int | None, typer.Option(min=1, help="Default: the last.")] = None
    runs: Annotated[
        bool, typer.Option("--run", help="Run what the step itself runs, without input.")
    ] = False
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not keep what was changed in it before.")
    ] = False
    remove: Annotated[bool, typer.Option("--rm", help="Remove its files at the end.")] = False
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VARIABLE", help="Of your own, from a variable; the platform gives none."
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meant:
    detail: RunDetail
    step: str
    attempt: int

    @property
    def name(self) -> str:
        return f"{self.detail['name']}/{self.step}"


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="step", help="Steps of runs, on this machine.")
    command(group, "shell")(open_shell)


def open_shell(
    here: Session,
    reference: Annotated[str, typer.Argument(metavar="RUN/STEP", help="As @last/train.")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND", help="Default: a shell.")
    ] = None,
    *,
    said: ShellOptions,
) -> None:
    """Open a step as it ran: same image, inputs and code by digest, same variables and limits, in
    this machine's podman or docker. Its exit code is this command's. No secrets are given.
    """
    _check_options(here, said, words)
    engine = find_step_engine()
    meant = _meant(here, reference, said.attempt)
    given = here.client.steps.inputs(meant.detail["id"], meant.step, attempt=meant.attempt)
    root = step_root(
        open_home(Path.cwd(), STEPS),
        run_name=meant.detail["name"], run_id=meant.detail["id"], step=meant.step,
    )  # fmt: skip
    with ended_by_signals(), held(root):
        try:
            main = _prepare(here, given, said, engine=engine, folder=StepFolder(root=root))
            _tell(here, meant, main, given)
            code = _run(here, main, _words(main, said, words, prompt=meant.name))
        finally:
            if said.remove:
                remove_tree(root)
    raise typer.Exit(code)


def _check_options(here: Session, said: ShellOptions, words: Sequence[str] | None) -> None:
    if here.screen.as_json:
        raise SettingsUnfit("A shell gives no document: leave out --json.", code="usage")
    if said.runs and words:
        raise SettingsUnfit("Say --run or a command after '--', not both.", code="usage")


def _meant(here: Session, reference: str, attempt: int | None) -> _Meant:
    run, _, step = reference.partition("/")
    detail = here.client.runs.get(run_meant(here, run))
    chosen = step or _only_step(detail)
    found = next((one for one in detail["steps"] if one["name"] == chosen), None)
    if found is None:
        raise UnknownReference(
            f"The run has no step {printable(chosen)!r}. It has: {_names(detail)}."
        )
    numbers = [one["number"] for one in found["attempts"]]
    if not numbers:
        raise UnknownReference(
            f"The step {chosen} has not begun in this run, so there is nothing to open."
        )
    if attempt is not None and attempt not in numbers:
        raise UnknownReference(
            f"The step {chosen} has no attempt {attempt}. It has: {', '.join(map(str, numbers))}."
        )
    return _Meant(detail=detail, step=chosen, attempt=attempt or numbers[-1])


def _only_step(detail: RunDetail) -> str:
    """The only one that there is, or that failed."""
    failed = [one["name"] for one in detail["steps"] if one["state"] == FAILED]
    names = [one["name"] for one in detail["steps"]]
    for candidates in (names, failed):
        if len(candidates) == 1:
            return candidates[0]
    raise UnknownReference(
        f"Say which step: animus step shell {detail['name']}/STEP. The run has: {_names(detail)}."
    )


def _names(detail: RunDetail) -> str:
    return ", ".join(one["name"] for one in detail["steps"]) or "none yet"


def _prepare(
    here: Session,
    given: AttemptInputs,
    said: ShellOptions,
    *,
    engine: StepEngine,
    folder: StepFolder,
) -> StepMain:
    """Everything but the container; what fails soonest comes first."""
    step = read_step(given["spec"])
    secrets = own_secrets(said.secret or (), step.secrets)
    image = get_image(engine, step.image, shows=sys.stderr.isatty())
    cache = cache_directory(os.environ)
    make_private(cache)
    with here.screen.progress("inputs") as progress:
        here.client.steps.lay_out(given, folder, cache=cache, fresh=said.fresh, progress=progress)
    folder.give_to_main(engine)
    return StepMain(
        step=step, engine=engine, image=image, folder=folder, run_id=given["run_id"],
        attempt=given["attempt"], parameters=given["parameters"], secrets=secrets,
    )  # fmt: skip


def _tell(here: Session, meant: _Meant, main: StepMain, given: AttemptInputs) -> None:
    """What it is, and what is otherwise than it was; on standard error, beside the step's words."""
    files = [file["download"]["size"] for one in given["inputs"] for file in one["files"]]
    code = f"commit {given['commit'][:12]}" if given["commit"] else "none"
    here.screen.note(
        f"{meant.name}, attempt {meant.attempt}, on this machine ({main.engine.words}): no part of"
        " the run, and no evidence."
    )
    here.screen.note(f"  image  {main.step.image}")
    here.screen.note(
        f"  data   {count_words(len(files), 'file')}, {size_words(sum(files))}, by digest;"
        f" code: {code}"
    )
    here.screen.note(f"  files  {main.folder.root} (what is changed in work and out is kept)")
    for line in differences(
        main.step, sandbox=given["sandbox"], engine=main.engine, secrets=main.secrets
    ):
        here.screen.note(f"  not as there: {line}")


def _words(
    main: StepMain, said: ShellOptions, words: Sequence[str] | None, *, prompt: str
) -> Words:
    has_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if said.runs:
        return main.own_words
    if words:
        return Words(command=tuple(words), takes_input=True, has_terminal=has_terminal)
    return Words(command=SHELL, takes_input=True, has_terminal=has_terminal, prompt=prompt)


def _run(here: Session, main: StepMain, words: Words) -> int:
    with main.container(words) as container:
        for warning in container.warnings:
            here.screen.note(f"  {main.engine.kind} says: {warning}")
        end = container.attach()
    if end.out_of_memory:
        here.screen.note(
            f"It needed more than the step's {size_words(main.step.memory)} of memory."
        )
    return end.exit_code
