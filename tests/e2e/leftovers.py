"""Containers that a command on a laptop may have left."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from animus_sdk.local.containers import LABEL

from deploy.embedded.engine import Engine


def containers_in(folder: Path, engine: Engine) -> list[str]:
    """Of what works below this folder: others use the same engine."""
    command = engine.command("ps", "--all", "--filter", f"label={LABEL}", "--format", "json")
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    places = [one["Labels"][LABEL] for one in json.loads(listed or "[]")]
    return [place for place in places if Path(place).is_relative_to(folder.resolve())]
