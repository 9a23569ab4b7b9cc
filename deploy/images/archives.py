"""An image layout as one file, which container engines and containerd import."""

from __future__ import annotations

import tarfile
from pathlib import Path

from deploy.images.layouts import ImageLayout


def write_archive(image: ImageLayout, archive: Path) -> None:
    """Pack the layout: the same bytes for the same image."""
    scratch = archive.with_name(f".{archive.name}.new")
    with tarfile.open(scratch, "w", format=tarfile.PAX_FORMAT) as packed:
        for path in sorted(each for each in image.path.rglob("*") if each.is_file()):
            entry = tarfile.TarInfo(str(path.relative_to(image.path)))
            entry.size = path.stat().st_size
            with path.open("rb") as content:
                packed.addfile(entry, content)
    scratch.rename(archive)
