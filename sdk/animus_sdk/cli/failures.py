"""Errors as one or two lines that say what to do, or as their problem document."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from animus_sdk.cli.excerpts import Place, excerpt
from animus_sdk.cli.exit_codes import ExitCode, code_of_error
from animus_sdk.cli.interruptions import Interrupted
from animus_sdk.cli.screens import Screen
from animus_sdk.cli.written_files import FileFault, WrittenFile
from animus_sdk.errors import AnimusError, ApiError, Fault, Unreachable
from animus_sdk.local.pipelines import PipelineUnfit

SHOWN = 20
SECRET = "secret_suspected"
OVERRIDE = "not_secret"
_INDENT = "  "
_OPTIONS = {
    "/parameters/": "-p ", "/datasets/": "--data ", "/labels/": "--label ",
    "/members/": "--member ",
}  # fmt: skip
_SINGLE_OPTIONS = ("/priority", "/reason", "/ticket", "/cluster")
_QUERY = "/query/"


class FileRefused(AnimusError):
    """Faults were found in what files say; each has its line and column."""

    default_code = "invalid_document"

    def __init__(self, cause: ApiError | PipelineUnfit, *files: tuple[str, WrittenFile]) -> None:
        """`files` are given with the pointer at which the request held their content."""
        super().__init__(cause.message, code=cause.code)
        self.cause = cause
        self._files = files

    def told(self) -> Iterator[list[str]]:
        """For each fault its place with what is wrong, and below it the line of the file."""
        for fault in self.cause.errors:
            found = self._find(fault.pointer)
            if found is None:
                yield [f"{option_of(fault.pointer)}: {_message(self.cause, fault)}"]
                continue
            written, at = found
            shown = [] if fault.code == SECRET else excerpt(written.lines, at)
            said = f"{written.name}:{at.line}:{at.column}: {_message(self.cause, fault)}"
            yield [said, *(_INDENT + line for line in shown)]

    def problem(self) -> dict[str, Any]:
        document = self.cause.problem()
        document["errors"] = [self._with_place(fault) for fault in self.cause.errors]
        return document

    def _with_place(self, fault: Fault) -> dict[str, Any]:
        said = {"pointer": fault.pointer, "message": fault.message, "code": fault.code}
        found = self._find(fault.pointer)
        if found is None:
            return said
        written, at = found
        return {**said, "file": written.name, "line": at.line, "column": at.column}

    def _find(self, pointer: str) -> tuple[WrittenFile, Place] | None:
        """Where in which file."""
        for below, written in self._files:
            inside = _inside(pointer, below)
            if inside is not None:
                return written, written.place_of(inside)
        return None


def report(screen: Screen, error: AnimusError) -> ExitCode:
    """Write the error down; the exit code that goes with it."""
    if screen.as_json:
        screen.problem(error.problem())
    elif isinstance(error, Interrupted):
        screen.leave_line()
        for line in error.said:
            screen.note(line)
    else:
        details = list(_details(error))
        hidden = len(details) - SHOWN
        more = [f"… and {hidden} more"] if hidden > 0 else []
        screen.error(error.message, [*chain.from_iterable(details[:SHOWN]), *more])
    return code_of_error(error.cause if isinstance(error, FileRefused) else error)


def _details(error: AnimusError) -> Iterator[list[str]]:
    """Below the message: some lines for each thing that is wrong."""
    if isinstance(error, Unreachable) and error.retryable:
        yield ["To see what is in the way: animus doctor"]
    elif isinstance(error, FileFault):
        yield error.excerpt()
    elif isinstance(error, FileRefused):
        yield from error.told()
        error = error.cause
    elif isinstance(error, ApiError | PipelineUnfit):
        for fault in error.errors:
            yield [f"{option_of(fault.pointer)}: {_message(error, fault)}"]
    if isinstance(error, ApiError) and error.status >= 500 and error.request_id:
        yield [f"request {error.request_id}"]


def _message(error: AnimusError, fault: Fault) -> str:
    """A false alarm is overridden where the operation takes that; its refusal says so then."""
    may_be_overridden = fault.code == SECRET and OVERRIDE in error.message
    hint = f" If it is none: --not-secret {fault.pointer}" if may_be_overridden else ""
    return fault.message + hint


def _inside(pointer: str, below: str) -> str | None:
    """The pointer into the file, where the fault is in the file."""
    pointer = pointer.removeprefix("/body")
    if pointer == below or pointer.startswith(below + "/"):
        return pointer[len(below) :]
    return None


def option_of(pointer: str) -> str:
    """The option that a person would change, for what was not in a file."""
    pointer = pointer.removeprefix("/body")
    for prefix, option in _OPTIONS.items():
        if pointer.startswith(prefix):
            return option + pointer[len(prefix) :]
    if pointer.startswith(_QUERY):
        return "--" + pointer[len(_QUERY) :].partition("/")[0].replace("_", "-")
    if pointer in _SINGLE_OPTIONS:
        return "--" + pointer[1:]
    return pointer or "/"
