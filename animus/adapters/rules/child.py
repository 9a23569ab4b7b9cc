"""The child process: reads one request a frame, writes one frame an answer. Holds no secret.

Frames are a length in four bytes, big-endian, and JSON. Started by `children`, never by hand.
"""

from __future__ import annotations

import resource
import struct
import sys
from typing import BinaryIO

import orjson

from animus.adapters.rules.evaluation import answer, context_of, fault

MEMORY_LIMIT = 1024**3  # bytes of address space
LENGTH = struct.Struct(">I")


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    _write(sink, {"ready": True})
    while (header := source.read(LENGTH.size)) and len(header) == LENGTH.size:
        request = orjson.loads(source.read(LENGTH.unpack(header)[0]))
        _serve(request["number"], request["plan"], request["expressions"], sink)


def _serve(
    number: int, plan: dict[str, object] | None, expressions: list[str], sink: BinaryIO
) -> None:
    """Each frame says which question it answers."""
    context = context_of(plan) if plan is not None else None
    for place, expression in enumerate(expressions):
        asked = {"number": number, "place": place}
        if context is None:
            _write(sink, asked | {"fault": fault(expression)})
        else:
            said = answer(expression, context)
            _write(sink, asked | {"answer": said.answer, "message": said.message})


def _write(sink: BinaryIO, value: object) -> None:
    data = orjson.dumps(value)
    sink.write(LENGTH.pack(len(data)) + data)
    sink.flush()


if __name__ == "__main__":
    main()
