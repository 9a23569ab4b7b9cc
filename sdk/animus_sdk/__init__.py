"""Animus from Python: the client for people and programs, and what a step says from inside a run.

The command line is `animus_sdk.cli`, source packs are `animus_sdk.source`.
"""

from __future__ import annotations

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
    "flush",
    "follow_run",
    "in_step",
    "log_event",
    "log_metric",
    "log_metrics",
    "upload_artifact",
]
