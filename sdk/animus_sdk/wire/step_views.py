"""What the gateway says of one attempt to whoever runs its step again elsewhere."""

from __future__ import annotations

from typing import Any, TypedDict

from animus_sdk.wire.views import Download, FileDownload


class AttemptInput(TypedDict):
    name: str
    kind: str
    digest: str
    """Of the file, or of the manifest: as the plan has it."""
    files: list[FileDownload]


class AttemptInputs(TypedDict):
    attempt_id: str
    run_id: str
    step: str
    attempt: int
    spec: dict[str, Any]
    """The step in the explicit form."""
    sandbox: str | None
    """The runtime that the plan promises between main and the host's kernel."""
    parameters: dict[str, Any]
    inputs: list[AttemptInput]
    source: Download | None
    commit: str | None
    source_path: str | None
