"""Logs of attempts: as they are stored, and as they are written."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from animus_sdk.resources.artifacts import Artifacts
from animus_sdk.resources.scopes import Scope
from animus_sdk.wire.event_streams import PATIENCE
from animus_sdk.wire.log_streams import AttemptLog, LogLine, read_line
from animus_sdk.wire.retries import RetryPolicy
from animus_sdk.wire.views import Artifact

LOG_KIND = "log"
TAIL_BYTES = 64 * 1024
"""Of a stored log, read for its last lines."""
BRIEFLY = RetryPolicy(retries=3, total_seconds=10.0)
"""For what is shown beside something else: whoever wants the log itself is more patient."""


@dataclass(frozen=True, slots=True)
class Logs:
    _scope: Scope

    def read(
        self, run_id: str, step: str, *, attempt: int = 1, follow: bool = False, after: int = 0
    ) -> Iterator[LogLine]:
        """What a step has written so far; with `follow` also what it will write, to its end.

        `after` is the `offset` of a line that was read before. Resumes by itself; raises
        `Unreachable` when the gateway stays away, `ApiError` where there is no such attempt yet.
        """
        if after == 0 and (log := self.find_stored(run_id, step, attempt=attempt)) is not None:
            return self.read_stored(log, attempt=attempt)
        reader = self.reader(run_id, step, attempt=attempt, after=after)
        return reader.read(follow=follow)

    def tail(self, run_id: str, step: str, *, attempt: int, lines: int) -> list[LogLine]:
        """The last lines, as the gateway has them now: of a long log only its end is read."""
        log = self.find_stored(run_id, step, attempt=attempt)
        after = max(0, log["size"] - TAIL_BYTES) if log is not None else 0
        reader = self.reader(run_id, step, attempt=attempt, after=after, patience=BRIEFLY)
        last = deque(reader.read(follow=False), maxlen=lines + 1)
        begins_within_a_line = after > 0 and len(last) > 1
        if len(last) > lines or begins_within_a_line:
            last.popleft()
        return list(last)

    def reader(
        self,
        run_id: str,
        step: str,
        *,
        attempt: int = 1,
        after: int = 0,
        patience: RetryPolicy = PATIENCE,
    ) -> AttemptLog:
        """For whoever must be able to interrupt the reading from another thread."""
        return AttemptLog(
            self._scope.gateway,
            project_id=self._scope.project_id(),
            run_id=run_id,
            step=step,
            attempt=attempt,
            after=after,
            patience=patience,
        )

    def find_stored(self, run_id: str, step: str, *, attempt: int) -> Artifact | None:
        """The artifact, once the attempt has ended and left a log."""
        name = log_name(step, attempt)
        artifacts = Artifacts(self._scope).of_run(run_id)
        return next((a for a in artifacts if (a["kind"], a["name"]) == (LOG_KIND, name)), None)

    def read_stored(self, log: Artifact, *, attempt: int) -> Iterator[LogLine]:
        """Its lines, straight from the object store; their digest is compared first."""
        with tempfile.TemporaryDirectory(prefix="animus-log-") as folder:
            file = Path(folder) / "log"
            Artifacts(self._scope).download(log, file)
            offset = 0
            with file.open("rb") as source:
                for raw in source:
                    offset += len(raw)
                    text = raw.removesuffix(b"\n").decode("utf-8", "backslashreplace")
                    yield read_line(text, log["step"], attempt, offset=offset)


def log_name(step: str, attempt: int) -> str:
    """What the log of an attempt is called among the run's artifacts."""
    return f"{step}-{attempt}.log"
