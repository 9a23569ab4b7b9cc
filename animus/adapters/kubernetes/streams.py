"""Answers of Kubernetes' api that are still being written, read line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import urllib3

from animus.adapters.kubernetes.errors import ClusterUnavailable


class Stream(Protocol):
    """An answer that is still being written: see `urllib3.response.HTTPResponse`."""

    def stream(self, amt: int | None, decode_content: bool) -> Iterator[bytes]: ...
    def shutdown(self) -> None:
        """End it, from any thread."""

    def close(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class Lines:
    """Cuts what comes into lines, without their ends: each with whether it is at its end. A line
    that is too long comes in parts, of `longest` bytes each, the same ones whenever it is read."""

    longest: int | None = None
    rest: bytes = b""
    """Of what has come, what has no end yet."""

    def take(self, chunk: bytes) -> list[tuple[bytes, bool]]:
        *whole, rest = (self.rest + chunk).split(b"\n")
        lines: list[tuple[bytes, bool]] = []
        for line in whole:
            parts, last = _parts(line, self.longest)
            lines += [*parts, (last, True)]
        parts, self.rest = _parts(rest, self.longest)
        return [*lines, *parts]


def lines_of(stream: Stream) -> Iterator[bytes]:
    """Lines as they come, without their ends. Raises `ClusterUnavailable` where it breaks off."""
    lines = Lines()
    try:
        for chunk in stream.stream(None, False):
            yield from (line for line, _ in lines.take(chunk))
    except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
        # AttributeError: urllib3's, where another thread has closed the connection.
        raise ClusterUnavailable("A stream broke off.", detail=repr(error)) from None
    if lines.rest:
        yield lines.rest


def _parts(line: bytes, longest: int | None) -> tuple[list[tuple[bytes, bool]], bytes]:
    """What is more than enough of a line, and the rest, which is never empty where it goes on."""
    parts = []
    while longest is not None and len(line) > longest:
        parts.append((line[:longest], False))
        line = line[longest:]
    return parts, line
