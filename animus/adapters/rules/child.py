"""The child process: reads one request a frame, writes one frame an answer. Holds no secret.

Frames are a length in four bytes, big-endian, and JSON. Started by `children`, never by hand.
"""

from __future__ import annotations

import resource
import struct
import sys
from typing import Any, BinaryIO

import orjson

from animus.adapters.rules.evaluation import Contexts, answer, fault

MEMORY_LIMIT = 1024**3  # bytes of address space
LENGTH = struct.Struct(">I")


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    _write(sink, {"ready": True})
    while (header := source.read(LENGTH.size)) and len(header) == LENGTH.size:
        request = orjson.loads(source.read(LENGTH.unpack(header)[0]))
        _serve(request, sink)


def _serve(request: dict[str, Any], sink: BinaryIO) -> None:
    """Each frame says which question it answers, and from which of its rules on. Asked `singly`,
    there is one for each rule, so that whoever waits sees which one hangs."""
    plan, expressions = request["plan"], request["expressions"]
    contexts = Contexts(plan, expressions) if plan is not None else None
    size = 1 if request["singly"] else len(expressions)
    for place in range(0, len(expressions), size):
        said = [_answer(one, contexts) for one in expressions[place : place + size]]
        _write(sink, {"number": request["number"], "place": place, "answers": said})


def _answer(expression: str, contexts: Contexts | None) -> dict[str, object]:
    if contexts is None:
        return {"fault": fault(expression)}
    said = answer(expression, contexts.of(expression))
    return {"answer": said.answer, "message": said.message}


def _write(sink: BinaryIO, value: object) -> None:
    data = orjson.dumps(value)
    sink.write(LENGTH.pack(len(data)) + data)
    sink.flush()


if __name__ == "__main__":
    main()
