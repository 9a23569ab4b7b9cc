"""Executables of a few machine instructions, for images that hold nothing else."""

from __future__ import annotations

import struct

_LOAD_ADDRESS = 0x400000
_HEADERS_SIZE = 64 + 56


def static_executable(code: bytes) -> bytes:
    """An ELF executable for x86-64 Linux that begins with the first byte of `code`."""
    return _headers(size=_HEADERS_SIZE + len(code)) + code


def _headers(*, size: int) -> bytes:
    identity = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    entry = _LOAD_ADDRESS + _HEADERS_SIZE
    executable, x86_64, loadable, readable_executable = 2, 62, 1, 5
    header = struct.pack(
        "<HHIQQQIHHHHHH", executable, x86_64, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack(
        "<IIQQQQQQ",
        *(loadable, readable_executable, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x1000),
    )
    return identity + header + segment
