"""A program that stands where a container engine does, and tells of one image or of none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from animus_sdk.images.engines import LocalEngine


def engine(folder: Path, answer: dict[str, Any] | None) -> LocalEngine:
    """It answers `image inspect` as podman does, and notes in `asked` what it was asked."""
    folder.mkdir(exist_ok=True)
    program = folder / "podman"
    (folder / "answer.json").write_text(json.dumps([answer]))
    (folder / "asked").write_text("")
    last = f"cat '{folder}/answer.json'" if answer is not None else "exit 125"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/asked"\n{last}\n')
    program.chmod(0o755)
    return LocalEngine(name="podman", command=(str(program),))


def described(*references: str, **more: Any) -> dict[str, Any]:
    """As podman describes an image that has these names."""
    return {
        "Id": "c" * 64, "Digest": references[0].partition("@")[2] if references else None,
        "RepoDigests": list(references), "Os": "linux", "Architecture": "amd64", **more,
    }  # fmt: skip
