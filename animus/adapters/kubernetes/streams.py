"""Answers of Kubernetes' api that are still being written, read line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import urllib3

from animus.adapters.kubernetes.errors import ClusterUnavailable


class Stream(Protocol):
    """An answer that is still being written: see `urllib3.response.HTTPResponse`."""

    def stream(self, amt: int | None, decode_content: bool) -> Iterator[bytes]: ...
    def shutdown(self) -> None:
        """End it, from any thread."""

    def close(self) -> None: ...


def lines_of(
    stream: Stream, *, longest: int | None = None, with_rest: bool = True
) -> Iterator[list[tuple[bytes, bool]]]:
    """Lines as they come, without their ends, and whether they are at their end with it: a line
    that is too long comes in parts, of `longest` bytes each, the same ones whenever it is read.
    `with_rest`: what the stream ends with is a line, also without an end. Raises
    `ClusterUnavailable` where it breaks off.
    """
    rest = b""
    try:
        for chunk in stream.stream(None, False):
            *whole, rest = (rest + chunk).split(b"\n")
            lines = []
            for line in whole:
                parts, last = _parts(line, longest)
                lines += [*parts, (last, True)]
            parts, rest = _parts(rest, longest)
            yield [*lines, *parts]
    except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
        # AttributeError: urllib3's, where another thread has closed the connection.
        raise ClusterUnavailable("A stream broke off.", detail=repr(error)) from None
    if rest and with_rest:
        yield [(rest, True)]


def _parts(line: bytes, longest: int | None) -> tuple[list[tuple[bytes, bool]], bytes]:
    """What is more than enough of a line, and the rest, which is never empty where it goes on."""
    parts = []
    while longest is not None and len(line) > longest:
        parts.append((line[:longest], False))
        line = line[longest:]
    return parts, line
