"""All that the command line writes goes through here: cleaned, as words or as one JSON document.

Without a terminal there is no colour, no bar and no prompt.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from animus_sdk.cli.wrapped_lines import set_lines
from animus_sdk.errors import AnimusError
from animus_sdk.printable import printable
from animus_sdk.transfer.progress import Progress, Silent

WIDTH_OF_A_FILE = 4_096
"""Columns where there is no terminal: nothing is cut, nothing is wrapped."""
TEXT_WIDTH = 100
"""The most cells of a line where text is read."""

STATE_STYLES = {
    "succeeded": "green", "allow": "green", "applied": "green", "published": "green",
    "satisfied": "green", "ok": "green", "away": "red",
    "running": "cyan", "waiting_retry": "yellow", "planned": "cyan", "created": "cyan",
    "awaiting_approval": "yellow", "require_approval": "yellow", "pending": "yellow",
    "failed": "red", "rejected": "red", "deny": "red",
    "canceled": "magenta", "expired": "magenta", "stopped": "magenta", "skipped": "dim",
}  # fmt: skip


class Passage(str):
    """Text of others that may be long, as a value of `pairs`: set in lines."""


class NoTerminal(AnimusError):
    """Something would have to be asked, and nobody is there to answer."""

    default_code = "usage"


class Screen:
    def __init__(
        self,
        *,
        as_json: bool = False,
        out: TextIO | None = None,
        err: TextIO | None = None,
        stdin: TextIO | None = None,
    ) -> None:
        self.as_json = as_json
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._stdin = stdin or sys.stdin
        self.stdout = _console(self._out)
        self.stderr = _console(self._err)

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads what is written here."""
        return not self.as_json and self._out.isatty()

    @property
    def may_ask(self) -> bool:
        return not self.as_json and self._stdin.isatty() and self._err.isatty()

    @property
    def may_show_and_ask(self) -> bool:
        """Whether who answers sees what is asked about: it did not go into a file or a program."""
        return self.may_ask and self.is_terminal

    @property
    def text_width(self) -> int:
        return min(TEXT_WIDTH, self.stdout.width)

    def answer(self, document: Any, render: Callable[[], None]) -> None:
        """The result of a command: the document as JSON, or what `render` writes."""
        if self.as_json:
            self.json(document)
        else:
            render()

    def json(self, document: Any) -> None:
        self._out.write(json_text(document))
        self._out.flush()

    def json_line(self, document: Any) -> None:
        """One of a sequence that does not end by itself: a document a line."""
        self._out.write(json_text(document, indent=None))
        self._out.flush()

    def line(self, *parts: str | Text, indent: int = 0) -> None:
        """One line of words; texts that are not `Text` yet are cleaned."""
        self.stdout.print(_joined(parts, indent), soft_wrap=True)

    def passage(self, text: str, *, indent: int) -> None:
        """Text of others, of which no part begins a line as ours do."""
        for line in set_lines(text, indent=indent, width=self.text_width):
            self.line(line)

    def note(self, *parts: str | Text) -> None:
        """A hint beside the result, on standard error."""
        if not self.as_json:
            self.stderr.print(_joined(parts, 0), soft_wrap=True)

    def leave_line(self) -> None:
        """A terminal shows '^C' where the cursor was."""
        if self._err.isatty():
            self._err.write("\n")

    def flush(self) -> None:
        """What can't be written is to be known before the end."""
        self._out.flush()

    def raw(self, text: str) -> None:
        """Text of others with its lines, such as a log."""
        self._out.write(printable(text, lines=True))

    def line_of_others(self, text: str, *, label: Text | None = None) -> None:
        """One line as it is, not wrapped and not cut, at once: somebody may be watching."""
        if label is not None:
            self.stdout.print(label, end="", soft_wrap=True)
        self._out.write(printable(text, lines=True) + "\n")
        self._out.flush()

    def problem(self, document: Mapping[str, Any]) -> None:
        self._err.write(json_text(document))
        self._err.flush()

    def error(self, message: str, details: Iterable[str] = ()) -> None:
        self.stderr.print(_joined((styled("error: ", "bold red"), message), 0), soft_wrap=True)
        for detail in details:
            self.stderr.print(_joined((detail,), 2), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
        table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
        for column in columns:
            table.add_column(styled(column.upper()), overflow="fold", no_wrap=not self.is_terminal)
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else styled(cell) for cell in row))
        self.stdout.print(table)

    def pairs(self, pairs: Iterable[tuple[str, str | Text | None]]) -> None:
        """Names and values, one a line; what has no value is left out."""
        kept = [(name, value) for name, value in pairs if value not in (None, "")]
        width = max((len(name) for name, _ in kept), default=0) + 2
        for name, value in kept:
            named = styled(name.ljust(width), "dim")
            if isinstance(value, Passage):
                first, *more = set_lines(value, indent=width, width=self.text_width)
                self.line(named, first[width:])
                for line in more:
                    self.line(line)
            else:
                self.line(named, value or "")

    def confirm(self, question: str) -> bool:
        """Only 'y' and 'yes' say yes."""
        return self._ask(question + " [y/N] ").strip().lower() in ("y", "yes")

    def ask(self, question: str) -> str:
        return self._ask(question + ": ").strip()

    def ask_secret(self, question: str) -> str:
        self._check_may_ask()
        from getpass import getpass  # only here: importing it looks for a terminal

        return getpass(question + ": ", stream=self._err).strip()

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """A bar where a person watches; nothing elsewhere."""
        if self.as_json or not self._err.isatty():
            yield Silent()
            return
        bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self.stderr,
            transient=True,
        )
        with bar:
            yield _Bar(bar, printable(title))

    def _ask(self, question: str) -> str:
        self._check_may_ask()
        self._err.write(printable(question))
        self._err.flush()
        return self._stdin.readline()

    def _check_may_ask(self) -> None:
        if not self.may_ask:
            raise NoTerminal("There is no terminal to ask on. Say it with an option; see --help.")


class _Bar:
    def __init__(self, bar: RichProgress, title: str) -> None:
        self._bar = bar
        self._task = bar.add_task(title, total=None)

    def begin(self, total_bytes: int) -> None:
        self._bar.update(self._task, total=total_bytes, completed=0)

    def advance(self, size: int) -> None:
        self._bar.advance(self._task, size)


def styled(text: str, style: str = "") -> Text:
    """The one way to style text: what is in it can neither steer a terminal nor be markup."""
    return Text(printable(text), style=style)


def state_text(state: str) -> Text:
    return styled(state.replace("_", " "), STATE_STYLES.get(state, ""))


def json_text(document: Any, *, indent: int | None = 2) -> str:
    """ASCII only, so that no text of others reaches a terminal through it either."""
    text = json.dumps(document, indent=indent, ensure_ascii=True)
    return text.replace("\x7f", "\\u007f") + "\n"


def _joined(parts: Sequence[str | Text], indent: int) -> Text:
    line = Text(" " * indent)
    for part in parts:
        line.append_text(part if isinstance(part, Text) else styled(part))
    return line


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich would end the process here."""
        raise BrokenPipeError


def _console(stream: TextIO) -> Console:
    is_terminal = stream.isatty()
    return _Console(
        file=stream,
        markup=False,
        emoji=False,
        highlight=False,
        force_terminal=is_terminal,  # what the environment says of colour does not make a terminal
        width=None if is_terminal else WIDTH_OF_A_FILE,
        legacy_windows=False,
    )
