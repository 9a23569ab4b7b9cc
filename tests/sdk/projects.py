"""A folder as an engineer has one: pipeline, code and lock under git, data beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.sdk.attempt_places import commit_all
from tests.sdk.platforms import IMAGE, unique


def write_project(folder: Path, written: Mapping[str, Any]) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "a.csv").write_text(unique("data"))
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(written))
    (folder / "train.py").write_text(f"print({unique('1')!r})\n")
    (folder / ".gitignore").write_text("data/\n")
    image = {
        "name": "runtime",
        "repository": "localhost/animus-demo",
        "platform": "linux/amd64",
        "manifest_digest": IMAGE.partition("@")[2],
    }
    package = {"ecosystem": "pypi", "name": unique("package"), "version": "1"}
    (folder / "lock.json").write_text(json.dumps({"images": [image], "packages": [package]}))
    commit_all(folder)
