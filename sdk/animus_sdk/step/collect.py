"""Collect: a step's declared outputs and log, hashed and uploaded whatever its exit code was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict

from animus_sdk.errors import AnimusError, AnswerUnfit, FileUnfit, TransferFailed
from animus_sdk.step.attempts import PATIENCE, AttemptContext
from animus_sdk.step.failures import Failure, StepFailed, platform, tell, tell_where
from animus_sdk.step.fetch import OUTPUTS
from animus_sdk.step.outputs import (
    DeclaredOutput,
    FoundOutput,
    HashedOutput,
    find_output,
    hash_output,
    output_failure,
)
from animus_sdk.step.reports import write_report
from animus_sdk.transfer.digests import digest_of_open_file
from animus_sdk.transfer.links import open_regular, resolve_inside
from animus_sdk.transfer.stores import Store
from animus_sdk.transfer.uploads import upload_all
from animus_sdk.wire.decoding import decode
from animus_sdk.wire.gateway import Gateway
from animus_sdk.wire.operations import REQUEST_STEP_UPLOADS
from animus_sdk.wire.retries import RetryPolicy
from animus_sdk.wire.views import StepUploads, Upload

REQUEST, REPORT = "collect-request.json", "collect.json"
OBJECTS_AT_ONCE = 200
"""URLs are good for some minutes: asked for in batches that take less."""

Objects = Mapping[str, tuple[Path | bytes, int]]


class LogFile(TypedDict):
    path: str


class CollectRequest(TypedDict):
    """What the agent says before it starts us: in a file, or in a variable."""

    outputs: list[DeclaredOutput]
    main_exit_code: int | None
    max_total_bytes: int
    log: LogFile | None


@dataclass(slots=True, kw_only=True)
class _Report:
    outputs: list[HashedOutput] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    log: dict[str, object] | None = None
    failure: Failure | None = None

    def document(self) -> dict[str, Any]:
        return {
            "ok": self.failure is None,
            "outputs": [output.document() for output in self.outputs],
            "missing": self.missing,
            "log": self.log,
            "failure": self.failure.document() if self.failure else None,
            "total_bytes": sum(output.total_bytes for output in self.outputs),
        }


def collect(context: AttemptContext, *, patience: RetryPolicy = PATIENCE) -> bool:
    """Upload what there is and report; whether nothing failed. Safe to repeat."""
    report = _Report()
    gateway, store = context.open_gateway(patience), context.open_store(patience)
    try:
        request = _read_request(context)
        sending = _Sending(gateway, store)
        _collect_log(context.directory, request["log"], sending, report)
        _collect_outputs(context.directory, request, sending, report)
    except StepFailed as failed:
        report.failure = failed.failure
    except AnimusError as error:
        tell(error.message)
        report.failure = _failure_of(error)
    except Exception as error:  # noqa: BLE001  # the process's edge: the report says it
        tell_where(error)
        report.failure = platform(error)
    finally:
        gateway.close()
        store.close()
    write_report(context, REPORT, report.document())
    return report.failure is None


def _collect_log(directory: Path, said: LogFile | None, sending: _Sending, report: _Report) -> None:
    """Before the outputs: it is what people need when those fail."""
    if said is None:
        return
    source = resolve_inside(directory.resolve(), said["path"])
    if not source.exists():
        tell("there is no log to collect")
        return
    descriptor = open_regular(source)
    try:
        sha256, size = digest_of_open_file(descriptor)
    finally:
        os.close(descriptor)
    sending.send({sha256: (source, size)})
    report.log = {"sha256": sha256, "size": size}


def _collect_outputs(
    directory: Path, request: CollectRequest, sending: _Sending, report: _Report
) -> None:
    """Good outputs are kept although a bad one fails the step: they may explain it."""
    found = list(_find_outputs((directory / OUTPUTS).resolve(), request["outputs"], report))
    _check_total(found, request["max_total_bytes"])
    hashed = list(_hash_outputs(found, report))
    sending.send({k: v for output in hashed for k, v in output.objects.items()})
    report.outputs = hashed


def _find_outputs(
    root: Path, declared: Sequence[DeclaredOutput], report: _Report
) -> Iterator[FoundOutput]:
    for output in declared:
        try:
            found = find_output(root, output)
        except FileUnfit as error:
            _note(report, output["name"], error)
            continue
        if found is not None:
            yield found
        elif not output["optional"]:
            report.missing.append(output["name"])


def _hash_outputs(found: Sequence[FoundOutput], report: _Report) -> Iterator[HashedOutput]:
    for output in found:
        try:
            yield hash_output(output)
        except FileUnfit as error:
            _note(report, output.name, error)


def _note(report: _Report, name: str, error: FileUnfit) -> None:
    """The first failure is the one that is reported; the log has all."""
    tell(f"output {name!a}: {error.message}")
    report.failure = report.failure or output_failure(name, error)


def _check_total(found: Sequence[FoundOutput], limit: int) -> None:
    total = sum(output.total_bytes for output in found)
    if total > limit:
        message = (
            f"The outputs have {total} bytes, and {limit} are allowed. Write less, or ask for more"
            " storage in the step's resources."
        )
        raise StepFailed(Failure(failure_class="user", code="output_too_large", message=message))


class _Sending:
    """Objects to the store, as far as it lacks them."""

    def __init__(self, gateway: Gateway, store: Store) -> None:
        self._gateway = gateway
        self._store = store

    def send(self, objects: Objects) -> None:
        for batch in _batches(objects):
            sources = {sha256: source for sha256, (source, _) in batch.items()}
            uploads = self._ask(batch)
            upload_all(self._store, uploads, sources, renew=lambda batch=batch: self._ask(batch))  # type: ignore[misc]  # bound now

    def _ask(self, objects: Objects) -> Sequence[Upload]:
        wanted = [{"sha256": sha256, "size": size} for sha256, (_, size) in objects.items()]
        body = {"objects": wanted}
        return self._gateway.call(REQUEST_STEP_UPLOADS, StepUploads, body=body)["uploads"]


def _batches(objects: Objects) -> Iterator[Objects]:
    left = iter(objects.items())
    while batch := dict(islice(left, OBJECTS_AT_ONCE)):
        yield batch


def _read_request(context: AttemptContext) -> CollectRequest:
    try:
        said = context.collect_request or (context.directory / REQUEST).read_bytes()
        return decode(CollectRequest, json.loads(said))
    except (OSError, ValueError, AnswerUnfit) as error:
        tell(f"the request to collect: {error}")
        message = "The agent's request to collect cannot be read."
        raise StepFailed(
            Failure(failure_class="platform", code="bad_request", message=message)
        ) from None


def _failure_of(error: AnimusError) -> Failure:
    if isinstance(error, TransferFailed) and error.code == "file_changed":
        message = "An output changed while it was uploaded: something still writes to it."
        return Failure(failure_class="user", code="output_changed", message=message)
    if isinstance(error, FileUnfit):
        message = "The log cannot be read."
        return Failure(failure_class="platform", code=error.code, message=message)
    return platform(error)
