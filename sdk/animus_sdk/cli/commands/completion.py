"""completion: what a shell needs to complete our commands and options."""

from __future__ import annotations

from typing import Annotated

import typer
from typer._completion_classes import completion_init  # the public doors of both only install
from typer._completion_shared import get_completion_script

from animus_sdk.cli.sessions import Session, command
from animus_sdk.errors import SettingsUnfit

PROGRAM = "animus"
VARIABLE = "_ANIMUS_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


def add_to(app: typer.Typer) -> None:
    completion_init()  # so that the shells are answered whom the scripts make ask
    command(app, "completion")(show_completion)


def show_completion(
    here: Session,
    shell: Annotated[str, typer.Argument(metavar="|".join(SHELLS), help="For which shell.")],
) -> None:
    """Print the script that completes 'animus' in a shell.

    For example, in ~/.bashrc: eval "$(animus completion bash)"
    """
    if shell not in SHELLS:
        raise SettingsUnfit(f"Known shells: {', '.join(SHELLS)}.", code="usage")
    script = get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell)
    here.screen.answer({"shell": shell, "script": script}, lambda: here.screen.raw(script + "\n"))
