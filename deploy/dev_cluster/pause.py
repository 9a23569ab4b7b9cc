"""The image whose container holds a pod's namespaces: one program that waits for ever.

It is made here because no registry is in reach. Unlike upstream's it does not reap: it is the
first process of its own container only, since our pods never share a process namespace.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.images.archives import write_archive
from deploy.images.executables import static_executable
from deploy.images.layers import write_layer
from deploy.images.layouts import write_layout

_PROGRAM = (
    b"\xb8\x22\x00\x00\x00"  # mov eax, pause
    b"\x0f\x05"  # syscall
    b"\xeb\xf7"  # jmp to the first instruction
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseImage:
    reference: str
    archive: Path


def write_pause_image(directory: Path) -> PauseImage:
    """Write the image's archive into `directory`. The same bytes each time."""
    archive = directory / "pause.tar"
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        tree = Path(scratch, "tree")
        tree.mkdir()
        program = tree / "pause"
        program.write_bytes(static_executable(_PROGRAM))
        program.chmod(0o755)
        layout = write_layout(
            Path(scratch, "layout"),
            name="animus-pause",
            layers=[write_layer(tree, Path(scratch, "layer.tar"))],
            settings={"Entrypoint": ["/pause"]},
        )
        write_archive(layout, archive)
    return PauseImage(reference=layout.tag, archive=archive)
