"""`python -m deploy.recording`: play both people's first five minutes, and write the page."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploy.embedded.configuration import CHECKOUT, StackConfig
from deploy.embedded.console import Console
from deploy.embedded.daemon import take_down
from deploy.embedded.errors import StackError
from deploy.embedded.stack import Stack
from deploy.local.accounts import Accounts, Gateway
from deploy.local.platform import Prepared, prepare, settle
from deploy.recording.pages import Played, write_page
from deploy.recording.scripts import ENGINEER, PROJECT, REVIEWER, SCENES, Line
from deploy.recording.terminals import Shown, Terminal, ensure_tmux

PAGE = CHECKOUT / "docs" / "first-five-minutes.md"
STATE = CHECKOUT / ".animus" / "recording" / "stack"
FOLDER = Path(__file__).parent / "project"
ROWS = 2_000
COMMIT = {
    f"GIT_{role}_{what}": said
    for role in ("AUTHOR", "COMMITTER")
    for what, said in (
        ("NAME", "engineer"),
        ("EMAIL", "engineer@demo.invalid"),
        ("DATE", "2026-01-01T00:00:00Z"),
    )
}
"""The same files give the same commit each time."""


def main() -> int:
    console = Console()
    try:
        ensure_tmux(console)
        take_down(STATE, purge=True)
        ports = StackConfig.from_environment(STATE, os.environ).ports
        prepared = prepare(STATE, ports, console=console)
        try:
            with Stack(prepared.config) as stack:
                console.say("    starting a stack to record on")
                stack.start()
                page = _record(prepared, stack.site.addresses.api_public, console)
        finally:
            take_down(STATE, purge=True)
    except StackError as error:
        sys.stderr.write(f"recording: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    PAGE.write_text(page)
    console.say(f"    written: {PAGE.relative_to(CHECKOUT)}")
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where it is played: the gateway, who is on it, and a terminal of each."""

    url: str
    image: str
    accounts: Accounts
    project_id: str
    home: Path
    terminals: Mapping[str, Terminal]

    def play(self, person: str, line: Line) -> Shown:
        """Raises `StackError` if it ends with another code than it should."""
        values = self._values(person)
        shown = self.terminals[person].type(
            line.typed.format_map(values),
            answers={asked: said.format_map(values) for asked, said in line.answers.items()},
            is_last_screen=line.is_last_screen,
        )
        if shown.code != line.code:
            raise StackError(f"'{line.typed}' ended with {shown.code}:\n{shown.text}")
        return replace(shown, text=shown.text.replace(str(self.home / person), "~"))

    def _values(self, person: str) -> Mapping[str, str]:
        gateway = Gateway(self.url, self.accounts.engineer)
        try:
            runs = gateway.get(f"/projects/{self.project_id}/runs")["runs"]
        finally:
            gateway.close()
        names = {"first": runs[-1]["name"], "promoted": runs[0]["name"]} if runs else {}
        return {
            "gateway": self.url,
            "image": self.image,
            "token": self.accounts.token_of(person),
            **names,
        }


def _record(prepared: Prepared, url: str, console: Console) -> str:
    runtime = prepared.engine.best_runtime
    accounts = settle(prepared.config, executor="container", runtime=runtime)
    with _own_directory() as home, ExitStack() as opened:
        stage = Stage(
            url=url,
            image=prepared.demo_image.tag,
            accounts=accounts,
            project_id=_make_project(url, accounts)["id"],
            home=Path(home),
            terminals={
                person: opened.enter_context(_terminal(Path(home) / person, prepared))
                for person in (ENGINEER, REVIEWER)
            },
        )
        played = []
        for scene in SCENES:
            console.say(f"    {scene.title}")
            lines = [
                Played(line=line, shown=stage.play(scene.person, line)) for line in scene.lines
            ]
            played.append((scene, lines))
        return write_page(played)


def _own_directory() -> tempfile.TemporaryDirectory[str]:
    """A shell that is told to end may still write something."""
    return tempfile.TemporaryDirectory(prefix="animus-recording-", ignore_cleanup_errors=True)


def _make_project(url: str, accounts: Accounts) -> dict[str, Any]:
    gateway = Gateway(url, accounts.admin)
    try:
        members = {ENGINEER: ["editor"], REVIEWER: ["reviewer"]}
        made: dict[str, Any] = gateway.post("/projects", {"name": PROJECT, "members": members})
        return made
    finally:
        gateway.close()


def _terminal(home: Path, prepared: Prepared) -> Terminal:
    folder, scratch = home / PROJECT, home / ".recorder"
    scratch.mkdir(parents=True)
    shutil.copytree(FOLDER, folder)
    (folder / "data").mkdir()
    (folder / "data" / "churn.csv").write_text(_customers())
    said = {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "TERM": "screen-256color",
        "TZ": "UTC",
        "HISTFILE": "",
        "ANIMUS_ENGINE": shlex.join(prepared.engine.command()),
        **COMMIT,
    }
    return Terminal(scratch=scratch, folder=folder, environment=said)


def _customers() -> str:
    """The same each time: who is new and pays much leaves."""
    lines = ["tenure,charges,churned"]
    for number in range(ROWS):
        tenure, charges = number * 37 % 73 / 72, number * 53 % 97 / 96
        leaves = charges - tenure + number * 29 % 31 / 62 > 0.6
        lines.append(f"{tenure:.3f},{charges:.3f},{int(leaves)}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
