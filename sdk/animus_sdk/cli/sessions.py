"""What every command has in common: its options, the client, the screen, and how errors end it."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from types import SimpleNamespace, TracebackType
from typing import Annotated, Any, Concatenate, ParamSpec, get_type_hints

import typer

from animus_sdk.cli.exit_codes import ExitCode
from animus_sdk.cli.failures import report
from animus_sdk.cli.interruptions import INTERRUPTED, Interrupted
from animus_sdk.cli.outputs import find_lost_output, lead_nowhere
from animus_sdk.cli.screens import Screen
from animus_sdk.cli.wording import CLOCK
from animus_sdk.client import Client
from animus_sdk.errors import AnimusError
from animus_sdk.settings import Given, Settings, load_settings
from animus_sdk.wire.clocks import TOO_MUCH, distance_words
from animus_sdk.wire.retries import RetryPolicy

P = ParamSpec("P")
COMMON = "Options of every command"
RETRIES = RetryPolicy(retries=5, total_seconds=30.0)
"""Long enough for a gateway that restarts, short enough for a person who waits."""

_Json = Annotated[
    bool,
    typer.Option("--json", help="One JSON document instead of words.", rich_help_panel=COMMON),
]
_Project = Annotated[
    str | None,
    typer.Option("--project", "-P", help="Name or id of the project.", rich_help_panel=COMMON),
]
_Gateway = Annotated[
    str | None, typer.Option("--gateway", help="URL of the gateway.", rich_help_panel=COMMON)
]
_COMMON_OPTIONS: tuple[tuple[str, Any, Any], ...] = (
    ("as_json", _Json, False),
    ("project_", _Project, None),
    ("gateway_", _Gateway, None),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    as_json: bool = False
    project: str | None = None
    gateway: str | None = None


class Session:
    """One command being carried out."""

    def __init__(self, options: Options, *, screen: Screen | None = None) -> None:
        self.options = options
        self.screen = screen or Screen(as_json=options.as_json)
        self._settings: Settings | None = None
        self._client: Client | None = None
        self._has_waited = False

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is not None:
            self._client.close()

    @property
    def settings(self) -> Settings:
        if self._settings is None:
            given = Given(gateway_url=self.options.gateway, project=self.options.project)
            self._settings = load_settings(given)
        return self._settings

    @property
    def client(self) -> Client:
        if self._client is None:
            retries = replace(RETRIES, sleep=self._wait)
            self._client = Client(settings=self.settings, retries=retries)
            CLOCK.go_by(self._client.now)
        return self._client

    def _wait(self, seconds: float) -> None:
        """Before something is tried again. Who sits before it is told once that nothing hangs."""
        if self.screen.is_terminal and not self._has_waited:
            self._has_waited = True
            self.screen.note("No answer yet, so it is tried again. Ctrl+C stops.")
        time.sleep(seconds)

    def tell_of_clocks(self) -> None:
        """Where this machine's is wrong, what was shown does not fit it."""
        clock = self._client.clock if self._client is not None else None
        if clock is not None and clock.beyond_doubt > TOO_MUCH:
            self.screen.note(
                f"This machine's clock is {distance_words(-clock.ahead)} the gateway's, by which"
                " times are shown. See: animus doctor"
            )


Command = Callable[Concatenate[Session, P], None]


def command(
    app: typer.Typer, name: str, *, context: dict[str, Any] | None = None
) -> Callable[[Command[P]], Command[P]]:
    """Registers a function as a command; its first parameter is the session."""

    def register(function: Command[P]) -> Command[P]:
        app.command(name, context_settings=context)(_with_session(function))
        return function

    return register


def default_command(app: typer.Typer) -> Callable[[Command[P]], Command[P]]:
    """Registers what a group does where no command of it is named."""

    def register(function: Command[P]) -> Command[P]:
        app.callback(invoke_without_command=True)(_with_session(function, unless_named=True))
        return function

    return register


def _with_session(function: Callable[..., None], *, unless_named: bool = False) -> Any:
    """A function as typer wants it: no session, our common options after its own, and an option
    for each field of a parameter that is a dataclass."""
    parameters, groups = _own_parameters(function)
    parameters += [_keyword(name, kind, default) for name, kind, default in _COMMON_OPTIONS]
    if unless_named:
        parameters.append(_keyword("context", typer.Context))

    def call(**given: Any) -> None:
        context: typer.Context | None = given.pop("context", None)
        if context is not None and context.invoked_subcommand is not None:
            return
        options = Options(
            as_json=given.pop("as_json"),
            project=given.pop("project_"),
            gateway=given.pop("gateway_"),
        )
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        _carry_out(function, options, given)

    call.__name__, call.__doc__ = function.__name__, function.__doc__
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # PEP 362
    return call


def _own_parameters(
    function: Callable[..., None],
) -> tuple[list[inspect.Parameter], dict[str, type[Any]]]:
    """What typer is to ask for, and which of the function's parameters are groups of that."""
    bare = SimpleNamespace(__annotations__=function.__annotations__)
    # Of the function itself Python 3.10 would hide what stands in 'Annotated' where the default is
    # None.
    hints = get_type_hints(bare, function.__globals__, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type[Any]] = {}
    for own in list(inspect.signature(function).parameters.values())[1:]:
        kind = hints[own.name]
        if not is_dataclass(kind):
            parameters.append(_keyword(own.name, kind, own.default))
            continue
        assert isinstance(kind, type)
        groups[own.name] = kind
        kinds = get_type_hints(kind, include_extras=True)
        parameters += [
            _keyword(f.name, kinds[f.name], _NONE if f.default is MISSING else f.default)
            for f in fields(kind)
        ]
    return parameters, groups


_NONE = inspect.Parameter.empty


def _keyword(name: str, kind: Any, default: Any = _NONE) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)


def _carry_out(function: Callable[..., None], options: Options, given: dict[str, Any]) -> None:
    with Session(options) as here:
        try:
            code = _code_and_words(function, here, given)
        except BrokenPipeError:
            lead_nowhere(sys.stdout, sys.stderr)
            code = ExitCode.NOBODY_READS
    raise typer.Exit(code)


def _code_and_words(function: Callable[..., None], here: Session, given: dict[str, Any]) -> int:
    """The exit code, with what is to be said about it."""
    try:
        code = _code_of(function, here, given)
        here.tell_of_clocks()
        here.screen.flush()
        return code
    except AnimusError as error:
        return report(here.screen, error)
    except KeyboardInterrupt:
        return report(here.screen, Interrupted(INTERRUPTED))
    except OSError as error:
        lost = find_lost_output(error)
        if lost is None:
            raise
        return report(here.screen, lost)


def _code_of(function: Callable[..., None], here: Session, given: dict[str, Any]) -> int:
    try:
        function(here, **given)
    except typer.Exit as left:
        return left.exit_code
    return ExitCode.DONE
