"""What fetch and collect report: always in a file of the attempt's directory, and on request where
whoever leads the container finds it when the directory is gone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from animus_sdk.step.attempts import AttemptContext

MESSAGE_BYTES = 3_000
"""A kubelet passes on 12 KiB for all containers of a pod: 3,072 for each of four."""
IN_LOG = '{"in":"log"}'
LOG_MARK = "animus-report "


def write_report(context: AttemptContext, name: str, document: Mapping[str, Any]) -> None:
    _write_file(context.directory / name, document)
    if context.message is not None:
        leave_message(context.message, document)


def _write_file(path: Path, document: Mapping[str, Any]) -> None:
    """There as a whole or not at all, and on the disk before anybody is told."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=2, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def leave_message(path: Path, document: Mapping[str, Any]) -> None:
    """In the file where it is small enough, else as one line of the log: ASCII in either case."""
    compact = json.dumps(document, separators=(",", ":"), sort_keys=True)
    if len(compact) > MESSAGE_BYTES:
        sys.stdout.write(f"{LOG_MARK}{compact}\n")
        sys.stdout.flush()
        compact = IN_LOG
    path.write_text(compact, encoding="ascii")
