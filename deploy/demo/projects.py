"""The demo's project: a folder with a pipeline and its code under git, and data beside it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.demo.scenes import Scene
from deploy.images.builds import BuiltImage

PROJECT_SOURCE = Path(__file__).parent / "project"
DATA = "data"
LOCK = "environment-lock.json"
PIPELINE = "pipeline.yaml"
COMMIT_TIME = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2026-01-01T00:00:00Z")
"""The same files give the same commit, and so the same plan digest, each time."""
_CSV = "breast_cancer.csv"


def prepare_project(scene: Scene) -> None:
    """As an engineer has one."""
    shutil.copytree(PROJECT_SOURCE, scene.work, dirs_exist_ok=True)
    pipeline = scene.work / PIPELINE
    pipeline.write_text(pipeline.read_text().replace("IMAGE", scene.image.reference))
    (scene.work / LOCK).write_text(json.dumps(_lock(scene.image)))
    _place_data(scene)
    identity = ("-c", "user.name=engineer", "-c", "user.email=engineer@demo.invalid")
    for command in (
        ("init", "-q"),
        ("add", "."),
        (*identity, "commit", "-q", "-m", "The breast-cancer pipeline"),
    ):
        subprocess.run(["git", *command], cwd=scene.work, env=os.environ | COMMIT_TIME, check=True)


def withdraw_patients(work: Path, count: int) -> None:
    """Take the last `count` rows out of the data, and out of the number that its header says."""
    file = work / DATA / _CSV
    with file.open(newline="") as opened:
        (rows, *header), *patients = csv.reader(opened)
    with file.open("w", newline="") as opened:
        kept = patients[:-count]
        csv.writer(opened, lineterminator="\n").writerows([[int(rows) - count, *header], *kept])


def _place_data(scene: Scene) -> None:
    """Beside the code and not under git: data is known by its own digest."""
    data = scene.work / DATA
    data.mkdir()
    shutil.copyfile(scene.dataset, data / _CSV)
    (scene.work / ".gitignore").write_text(f"{DATA}/\n")


def _lock(image: BuiltImage) -> Mapping[str, Any]:
    ecosystems = {"deb": "deb", "wheel": "pypi"}
    locked = {
        "name": "demo",
        "repository": image.reference.partition("@")[0],
        "platform": image.platform,
        "manifest_digest": image.manifest_digest,
        "config_digest": image.config_digest,
    }
    packages = [
        {
            "ecosystem": ecosystems[package.kind],
            "name": package.name,
            "version": package.version,
            "hashes": [f"sha256:{package.sha256.removeprefix('sha256:')}"],
        }
        for package in image.packages
    ]
    return {"images": [locked], "packages": packages}
