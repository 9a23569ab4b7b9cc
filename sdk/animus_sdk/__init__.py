"""Animus from Python: the client for people and programs, and what a step says from inside a run.

The command line is `animus_sdk.cli`, source packs are `animus_sdk.source`. Each name here is
imported when it is first asked for: `animus_sdk.step` asks for none, and must be quick to begin.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as type checkers take it: importing `typing` for it would take long

if TYPE_CHECKING:
    from animus_sdk.client import Client
    from animus_sdk.errors import (
        AnimusError,
        AnswerUnfit,
        ApiError,
        FileUnfit,
        NotInStep,
        NotSignedIn,
        OutcomeUnknown,
        SettingsUnfit,
        TransferFailed,
        Unreachable,
    )
    from animus_sdk.following import follow_run
    from animus_sdk.log_following import WantedLogs, follow_logs
    from animus_sdk.telemetry.in_step import (
        flush,
        in_step,
        log_event,
        log_metric,
        log_metrics,
        upload_artifact,
    )
    from animus_sdk.telemetry.loggers import RunTelemetryLogger

__all__ = [
    "AnimusError",
    "AnswerUnfit",
    "ApiError",
    "Client",
    "FileUnfit",
    "NotInStep",
    "NotSignedIn",
    "OutcomeUnknown",
    "RunTelemetryLogger",
    "SettingsUnfit",
    "TransferFailed",
    "Unreachable",
    "WantedLogs",
    "flush",
    "follow_logs",
    "follow_run",
    "in_step",
    "log_event",
    "log_metric",
    "log_metrics",
    "upload_artifact",
]

_HOMES = {
    "animus_sdk.client": ("Client",),
    "animus_sdk.errors": (
        "AnimusError",
        "AnswerUnfit",
        "ApiError",
        "FileUnfit",
        "NotInStep",
        "NotSignedIn",
        "OutcomeUnknown",
        "SettingsUnfit",
        "TransferFailed",
        "Unreachable",
    ),
    "animus_sdk.following": ("follow_run",),
    "animus_sdk.log_following": ("WantedLogs", "follow_logs"),
    "animus_sdk.telemetry.in_step": (
        "flush",
        "in_step",
        "log_event",
        "log_metric",
        "log_metrics",
        "upload_artifact",
    ),
    "animus_sdk.telemetry.loggers": ("RunTelemetryLogger",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # which would take every name for one of ours

    def __getattr__(name: str) -> object:
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(home), name)
        return value
