"""One container of a step on this machine: made, run to its end, and gone whatever happens.

Ctrl+C, a closed terminal and SIGTERM end it and take it away; what SIGKILL leaves has a name that
the next command in the same folder finds.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any

from animus_sdk.local.engines import EngineFailed, StepEngine
from animus_sdk.local.flags import Main, client_variables, create_arguments, variables_text
from animus_sdk.local.folders import writing

LABEL = "animus.local"
"""With the folder that it works in."""
OUT_OF_MEMORY = "oom"
"""What podman's monitor leaves where it was started, if the kernel killed for want of memory."""
UNUSUAL_KEYS = "ctrl-^,ctrl-_"
"""To leave a container that goes on: the usual ones begin with Ctrl+P, which shells know."""
LOOK_SECONDS = 2.0
LEAVE_SECONDS = 15.0
"""For the engine's client, once its container is gone."""
MAX_LINE = 64 * 1024
_NO_INIT = "init binary not found"
_NEVER = "0001-01-01"

OnLine = Callable[[bytes], None]
Handler = Callable[[int, "FrameType | None"], None] | signal.Handlers
Look = Callable[[], "str | None"]
"""Names the limit for which the container is to be ended now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MainEnd:
    exit_code: int
    has_started: bool = True
    out_of_memory: bool = False
    over: str | None = None
    """The limit for which it was ended."""


def container_name(folder: Path) -> str:
    """One at a time in a folder, and found again by it."""
    return f"animus-local-{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]}"


class Container:
    """Use it in a `with`."""

    def __init__(self, engine: StepEngine, main: Main, *, folder: Path) -> None:
        """`folder` is private; the engine's client works in it, and its monitor may write there."""
        self.warnings: list[str] = []
        """What the engine said of flags that it does not heed."""
        self._engine = engine
        self._main = main
        self._folder = folder
        self._variables_file = folder / ".variables"

    def __enter__(self) -> Container:
        self._engine.remove(self._main.name)
        with writing(self._variables_file):
            (self._folder / OUT_OF_MEMORY).unlink(missing_ok=True)
            self._variables_file.unlink(missing_ok=True)
            self._variables_file.touch(mode=0o600, exist_ok=False)
            self._variables_file.write_text(variables_text(self._main), encoding="utf-8")
        try:
            self.warnings = self._create().splitlines()
        except BaseException:
            self._remove()
            raise
        finally:
            self._variables_file.unlink(missing_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def attach(self) -> MainEnd:
        """Run it with this process's own streams, until it ends."""
        has_terminal = self._main.has_terminal
        with _restored_terminal(has_terminal):
            client = subprocess.Popen(
                self._start_command(),
                cwd=self._folder,
                stdin=None if self._main.takes_input else subprocess.DEVNULL,
                start_new_session=not has_terminal,
            )
            self._wait_for(client, lambda: client.wait())
        return self._end(client.returncode)

    def follow(self, on_line: OnLine, look: Look) -> MainEnd:
        """Run it without input; each line that it writes goes to `on_line`.

        Raises what `on_line` raised: the container is ended then.
        """
        client = subprocess.Popen(
            self._start_command(),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert client.stdout is not None
        reader = _Reader(client.stdout, on_line)
        reader.start()

        def look_at_both() -> str | None:
            reader.check()
            return look()

        over = self._wait_for(client, lambda: self._watch(client, look_at_both))
        reader.join()
        reader.check()
        return self._end(client.returncode, over=over)

    def _create(self) -> str:
        try:
            return self._ask_to_create(with_init=True)
        except EngineFailed as failure:
            if _NO_INIT not in failure.message:
                raise
        return self._ask_to_create(with_init=False)

    def _ask_to_create(self, *, with_init: bool) -> str:
        arguments = create_arguments(
            self._main, self._engine, variables_file=self._variables_file, with_init=with_init
        )
        return self._engine.ask(*arguments, variables=client_variables(self._main)).err

    def _start_command(self) -> list[str]:
        takes_input = ("--interactive",) if self._main.takes_input else ()
        keys = f"--detach-keys={'' if self._engine.is_podman else UNUSUAL_KEYS}"
        return [*self._engine.command, "start", "--attach", keys, *takes_input, self._main.name]

    def _wait_for(self, client: subprocess.Popen[bytes], wait: Callable[[], Any]) -> Any:
        """Whatever breaks off the waiting ends the container, and with it its client."""
        try:
            return wait()
        except BaseException:
            self._remove()
            with suppress(subprocess.TimeoutExpired):
                client.wait(LEAVE_SECONDS)
            raise
        finally:
            if client.poll() is None:
                client.kill()
                client.wait()

    def _watch(self, client: subprocess.Popen[bytes], look: Look) -> str | None:
        over = None
        while True:
            try:
                client.wait(LOOK_SECONDS if over is None else LEAVE_SECONDS)
                return over
            except subprocess.TimeoutExpired:
                if over is not None:
                    return over
                over = look()
                if over is not None:
                    self._engine.ask("kill", "--signal", "KILL", self._main.name)

    def _end(self, code: int, *, over: str | None = None) -> MainEnd:
        found = self._engine.find("container", self._main.name)
        if found is None:
            raise EngineFailed("The container was taken away from outside while it ran.")
        state = found["State"]
        if over is None and state.get("Running"):  # its exit code is 0 for as long
            raise EngineFailed(
                f"The client of {self._engine.kind} ended before the step did, so how the step"
                " would have ended is not known. It was taken away. Run it again."
            )
        has_started = not str(state.get("StartedAt", _NEVER)).startswith(_NEVER)
        return MainEnd(
            exit_code=int(state.get("ExitCode") or 0) if has_started else code,
            has_started=has_started,
            out_of_memory=bool(state.get("OOMKilled")) or (self._folder / OUT_OF_MEMORY).exists(),
            over=over,
        )

    def _remove(self) -> None:
        with _undisturbed():
            self._engine.remove(self._main.name)


def ended_by_signals() -> AbstractContextManager[None]:
    """SIGTERM and a closed terminal end as Ctrl+C does: what was begun is taken away."""
    return _handling(_interrupt, signal.SIGTERM, signal.SIGHUP)


def _undisturbed() -> AbstractContextManager[None]:
    """A second Ctrl+C must not leave what the first one was to take away."""
    return _handling(signal.SIG_IGN, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _handling(handler: Handler, *signals: signal.Signals) -> Iterator[None]:
    """As only the main thread may have it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, handler) for one in signals}
    try:
        yield
    finally:
        for one, former in before.items():
            signal.signal(one, former)


@contextmanager
def _restored_terminal(has_terminal: bool) -> Iterator[None]:
    """As it was, also where the engine's client could not put it back."""
    if not has_terminal:
        yield
        return
    import termios  # only here: not every system has it

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class _Reader(threading.Thread):
    """Lines, or parts of very long ones, until the container ends."""

    def __init__(self, stream: IO[bytes], on_line: OnLine) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._on_line = on_line
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Reads on after a failure: the engine's client would die of a pipe that nobody reads."""
        with self._stream:
            while line := self._stream.readline(MAX_LINE):
                if self._failure is None:
                    try:
                        self._on_line(line)
                    except BaseException as error:  # noqa: BLE001  # the main thread has it to raise
                        self._failure = error

    def check(self) -> None:
        """Raise what `on_line` raised, where whoever called for it can catch it."""
        if self._failure is not None:
            raise self._failure
