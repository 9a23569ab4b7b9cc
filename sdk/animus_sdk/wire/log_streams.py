"""One attempt's log, line by line: as the gateway sends it, and as it is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from animus_sdk.wire.event_streams import PATIENCE, EventStream, ServerEvent
from animus_sdk.wire.gateway import Gateway
from animus_sdk.wire.operations import STREAM_ATTEMPT_LOG
from animus_sdk.wire.retries import RetryPolicy

OURS = "animus"
_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (out|err) (.*)", re.DOTALL)
_NOTICES = {
    "missed": "[animus: {bytes} bytes are not shown live]",
    "full": "[animus: there is too much to show it live; the rest comes when the step has ended]",
}


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a step wrote, or one that says something about its log."""

    step: str
    attempt: int
    text: str
    stream: str
    """`out` or `err`; `animus` where the step did not say this."""
    time: str | None
    """RFC 3339 in UTC, as the node's clock had it."""
    offset: int
    """Where in the log the next line begins, in bytes."""

    @property
    def stored(self) -> str:
        """As it is in the stored log."""
        return self.text if self.time is None else f"{self.time} {self.stream} {self.text}"


class AttemptLog:
    """The log of one attempt, from `after` on."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        project_id: str,
        run_id: str,
        step: str,
        attempt: int,
        after: int = 0,
        patience: RetryPolicy = PATIENCE,
    ) -> None:
        self._step = step
        self._attempt = attempt
        self._noticed: set[str] = set()
        path = {"project_id": project_id, "run_id": run_id, "step": step, "number": attempt}
        self._stream = EventStream(
            gateway, STREAM_ATTEMPT_LOG, path=path, position=after, patience=patience
        )

    def interrupt(self) -> None:
        """As `EventStream.interrupt`."""
        self._stream.interrupt()

    def read(self, *, follow: bool) -> Iterator[LogLine]:
        """As `EventStream.read`, until the attempt has ended and its log is complete."""
        before = self._stream.position
        for event in self._stream.read(follow=follow):
            if event.kind == "lines":
                yield from self._lines(event, begin=before)
            elif event.kind in _NOTICES:
                yield from self._notice(event)
            before = self._stream.position

    def _lines(self, event: ServerEvent, *, begin: int) -> Iterator[LogLine]:
        offset = begin
        for line in event.data.split("\n"):
            offset += len(line.encode()) + 1
            yield read_line(line, self._step, self._attempt, offset=offset)

    def _notice(self, event: ServerEvent) -> Iterator[LogLine]:
        said = json.loads(event.data)
        text = _NOTICES[event.kind].format(bytes=said.get("bytes"))
        if text not in self._noticed:
            self._noticed.add(text)
            yield LogLine(self._step, self._attempt, text, OURS, None, self._stream.position)


def read_line(line: str, step: str, attempt: int, *, offset: int) -> LogLine:
    """A line of a stored log: `TIME out|err text`, or a sentence about the log."""
    found = _LINE.fullmatch(line)
    if found is None:
        return LogLine(step, attempt, line, OURS, None, offset)
    time, stream, text = found.groups()
    return LogLine(step, attempt, text, stream, time, offset)
