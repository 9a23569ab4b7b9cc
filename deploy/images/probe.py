"""The smallest image there is: one program that prints a word, to see whether an engine works."""

from __future__ import annotations

import struct
from pathlib import Path

from deploy.images.executables import static_executable
from deploy.images.layers import write_layer
from deploy.images.layouts import ImageLayout, write_layout

PROBE_OUTPUT = "animus\n"

_WRITE, _EXIT = 1, 60  # x86-64 system calls


def write_probe_image(scratch: Path, *, says: str = PROBE_OUTPUT) -> ImageLayout:
    """Write the image below the empty directory `scratch`."""
    tree = scratch / "tree"
    tree.mkdir()
    program = tree / "probe"
    program.write_bytes(_static_program(says.encode()))
    program.chmod(0o755)
    layer = write_layer(tree, scratch / "layer.tar")
    return write_layout(
        scratch / "layout",
        name="animus-probe",
        layers=[layer],
        settings={"Entrypoint": ["/probe"]},
    )


def _static_program(text: bytes) -> bytes:
    """An ELF executable for x86-64 Linux that writes `text` to standard output and ends with 0."""
    after_address = (
        b"\xba" + struct.pack("<I", len(text))  # mov edx, length
        + b"\x0f\x05"  # syscall
        + b"\xb8" + struct.pack("<I", _EXIT)  # mov eax, exit
        + b"\x31\xff"  # xor edi, edi
        + b"\x0f\x05"  # syscall
    )  # fmt: skip
    code = (
        b"\xb8" + struct.pack("<I", _WRITE)  # mov eax, write
        + b"\xbf" + struct.pack("<I", 1)  # mov edi, standard output
        + b"\x48\x8d\x35" + struct.pack("<i", len(after_address))  # lea rsi, [rip + ...]
        + after_address
        + text
    )  # fmt: skip
    return static_executable(code)
