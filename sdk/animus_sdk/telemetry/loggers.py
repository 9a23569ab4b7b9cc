"""Metrics and messages on their way to the gateway, in the background: never in training's way.

The queue is bounded and the thread is a daemon. What does not fit or is not taken is dropped,
counted, and said once on standard error when the logger closes.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, SupportsFloat, TextIO

from animus_sdk.errors import AnimusError
from animus_sdk.printable import printable
from animus_sdk.telemetry.points import Message, MetricPoint, Unloggable, message_of, metric_point
from animus_sdk.telemetry.step_contexts import StepContext
from animus_sdk.wire import operations
from animus_sdk.wire.retries import RetryPolicy
from animus_sdk.wire.views import Accepted

MAX_QUEUE = 2_048
TIMEOUT_SECONDS = 5.0
RETRIES = RetryPolicy(retries=6, total_seconds=60.0)
GATHER_SECONDS = 0.5
"""How long a point waits for others to travel with."""
CLOSE_SECONDS = 10.0
METRICS_AT_ONCE = 1_000
MESSAGES_AT_ONCE = 100
BATCH_BYTES = 512 * 1024

Item = MetricPoint | Message


class RunTelemetryLogger:
    """Logs to one run. No method raises, and none waits for the network but `flush` and `close`."""

    def __init__(
        self,
        context: StepContext,
        *,
        max_queue: int = MAX_QUEUE,
        timeout: float = TIMEOUT_SECONDS,
        retries: RetryPolicy = RETRIES,
        stderr: TextIO | None = None,
    ) -> None:
        self._context = context
        self._scope = context.open(timeout=timeout, retries=retries)
        self._queue: queue.Queue[Item | threading.Event | None] = queue.Queue(max_queue)
        self._stderr = stderr
        self._dropped: Counter[str] = Counter()
        self._under_way = 0
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="animus-telemetry", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        return self._dropped.total()

    def log_metric(self, name: str, value: SupportsFloat, step: int = 0) -> None:
        self._put(lambda: metric_point(name, value, step))

    def log_metrics(self, metrics: Mapping[str, SupportsFloat], step: int = 0) -> None:
        for name, value in metrics.items():
            self.log_metric(name, value, step)

    def log_event(
        self, message: str, level: str = "info", fields: Mapping[str, Any] | None = None
    ) -> None:
        self._put(lambda: message_of(message, level, fields or {}))

    def flush(self, timeout: float = CLOSE_SECONDS) -> bool:
        """Wait until what was logged before has been sent or dropped; False at the limit."""
        done = threading.Event()
        deadline = time.monotonic() + timeout
        try:
            self._queue.put(done, timeout=timeout)
        except queue.Full:
            return False
        return done.wait(max(0.0, deadline - time.monotonic()))

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Flush, stop, and say what was dropped. Safe to repeat."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self.flush(timeout):
            self._queue.put(None)
            self._thread.join(timeout)
        else:
            self._drop(self._under_way, "not sent before the end")
        self._scope.gateway.close()
        self._say_what_was_dropped()

    def _put(self, make: Callable[[], Item]) -> None:
        if self._closed:
            self._drop(1, "logged after the end")
            return
        try:
            self._queue.put_nowait(make())
        except queue.Full:
            self._drop(1, "logged faster than the gateway takes them")
        except Unloggable as why:
            self._drop(1, str(why))
        except Exception as error:  # noqa: BLE001  # a value's own __float__ may raise anything
            self._drop(1, type(error).__name__)
        else:
            with self._lock:
                self._under_way += 1

    def _drop(self, count: int, why: str) -> None:
        with self._lock:
            self._dropped[why] += count

    def _run(self) -> None:
        while True:
            items, markers, ended = self._gather()
            self._send_all(items)
            with self._lock:
                self._under_way -= len(items)
            for marker in markers:
                marker.set()
            if ended:
                return

    def _gather(self) -> tuple[list[Item], list[threading.Event], bool]:
        """What is there, and what comes within a moment; a marker or the end is not waited on."""
        items: list[Item] = []
        deadline = 0.0
        while len(items) < METRICS_AT_ONCE:
            try:
                left = max(0.0, deadline - time.monotonic()) if items else None
                found = self._queue.get(timeout=left)
            except queue.Empty:
                break
            if found is None:
                return items, [], True
            if isinstance(found, threading.Event):
                return items, [found], False
            if not items:
                deadline = time.monotonic() + GATHER_SECONDS
            items.append(found)
        return items, [], False

    def _send_all(self, items: Sequence[Item]) -> None:
        metrics = [item.document() for item in items if isinstance(item, MetricPoint)]
        messages = [item.document() for item in items if isinstance(item, Message)]
        for start in range(0, len(metrics), METRICS_AT_ONCE):
            batch = metrics[start : start + METRICS_AT_ONCE]
            self._send(operations.LOG_METRICS, "points", batch)
        for batch in _in_batches(messages):
            self._send(operations.LOG_MESSAGES, "messages", batch)

    def _send(
        self, operation: operations.Operation, key: str, batch: Sequence[Mapping[str, Any]]
    ) -> None:
        body = {key: list(batch), "step": self._context.step}
        try:
            self._scope.call(operation, Accepted, body=body, run_id=self._context.run_id)
        except AnimusError as error:
            self._drop(len(batch), error.code)
        except Exception as error:  # noqa: BLE001  # this thread must outlive every surprise
            self._drop(len(batch), type(error).__name__)

    def _say_what_was_dropped(self) -> None:
        with self._lock:
            dropped = dict(self._dropped)
        if dropped:
            reasons = ", ".join(f"{count} ({why})" for why, count in dropped.items())
            say(f"metrics or messages were not recorded: {reasons}", self._stderr)


def say(text: str, stderr: TextIO | None = None) -> None:
    """One line on standard error, if there is one."""
    stream = stderr or sys.stderr
    if stream is not None:
        stream.write(f"animus: {printable(text)}\n")


def _in_batches(messages: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Few enough and small enough for one request each."""
    batches: list[list[dict[str, Any]]] = []
    size = BATCH_BYTES
    for message in messages:
        own = len(json.dumps(message))
        if size + own > BATCH_BYTES or len(batches[-1]) >= MESSAGES_AT_ONCE:
            batches.append([])
            size = 0
        batches[-1].append(message)
        size += own
    return batches
