"""A run asked for again: its own request, with what is to be different."""

from __future__ import annotations

import os
from typing import Any

from animus_sdk.cli.data_requests import find_paths, read_data
from animus_sdk.cli.lock_requests import FILE_SUFFIXES, read_lock
from animus_sdk.cli.one_step_pipelines import StepOptions, find_one_step
from animus_sdk.cli.pairs import said_pairs
from animus_sdk.cli.references import run_meant
from animus_sdk.cli.run_requests import RunDraft, RunOptions, draft_run
from animus_sdk.cli.sessions import Session
from animus_sdk.cli.written_files import STDIN, parse_value
from animus_sdk.errors import SettingsUnfit
from animus_sdk.printable import printable
from animus_sdk.resources.references import UnknownReference
from animus_sdk.wire.views import RunDetail

PRODUCTION = "production"


def draft_wanted(here: Session, said: RunOptions, options: StepOptions) -> RunDraft:
    """From a pipeline's file, or a command in an image; or from a run, whose source, data and lock
    go again by digest."""
    step = find_one_step(said.file, options)
    if step is not None or said.file is None or not is_run_reference(said.file):
        return draft_run(here.client, said, step)
    _check_same_code(said)
    detail = here.client.runs.get(_run_meant(here, said.file))
    return _changed(here, detail, said)


def is_run_reference(text: str) -> bool:
    """A file has a suffix, or a '/', or is there."""
    if text.startswith("@"):
        return True
    is_written_so = text == STDIN or "/" in text or text.endswith(FILE_SUFFIXES)
    return not (is_written_so or os.path.exists(text))  # also of what can be no file's name


def _run_meant(here: Session, reference: str) -> str:
    try:
        return run_meant(here, reference)
    except UnknownReference as error:
        if error.code != UnknownReference.default_code or reference.startswith("@"):
            raise
        raise UnknownReference(
            f"There is neither a file nor a run {printable(reference)!r}. A pipeline's file ends in"
            f" {', '.join(FILE_SUFFIXES)}; for runs see 'animus run list'."
        ) from None


def request_of(detail: RunDetail) -> dict[str, Any]:
    """What the run was asked to do, with everything by digest. Its reason was its own."""
    spec = detail["spec"]
    request: dict[str, Any] = {
        "classification": spec["classification"],
        "pipeline_digest": spec["pipeline_digest"],
        "datasets": {one["alias"]: {"digest": one["digest"]} for one in spec["datasets"]},
        "parameters": dict(spec["parameters"]),
        "labels": dict(detail["labels"]),
        "cluster": detail["cluster"],
    }
    if "code" in spec:
        request["code"] = spec["code"]
    if "environment_lock" in spec:
        request["environment_lock"] = {"digest": spec["environment_lock"]}
    return request


def _changed(here: Session, detail: RunDetail, said: RunOptions) -> RunDraft:
    request = request_of(detail)
    data = read_data(said.data or (), find_paths(here.client, said.data or ()))
    lock = read_lock(here.client, said.lock)
    request["datasets"].update(data.references)
    request["parameters"].update(
        {key: parse_value(value) for key, value in said_pairs(said.param or (), "-p")}
    )
    request["labels"].update(said_pairs(said.label or (), "--label"))
    request |= {
        "reason": said.reason,
        "ticket": said.ticket,
        "not_secret": said.not_secret or [],
    }
    if said.production:
        request["classification"] = PRODUCTION
    if lock.reference is not None:
        request["environment_lock"] = lock.reference
    if said.cluster is not None:
        request["cluster"] = said.cluster
    return RunDraft(
        request=request,
        written=None,
        lock=lock,
        pack=None,
        manifests=data.manifests,
        repeats=detail,
    )


def _check_same_code(said: RunOptions) -> None:
    if said.code is not None or said.no_code or said.allow_dirty:
        raise SettingsUnfit(
            "A run that is repeated takes the code that it had. To run other code, name the"
            " pipeline's file.",
            code="usage",
        )
