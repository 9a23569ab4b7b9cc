"""What people type for a thing, and what it was taken for: said before anything happens."""

from __future__ import annotations

from animus_sdk.cli.sessions import Session
from animus_sdk.cli.wording import ago_words
from animus_sdk.resources.references import is_id
from animus_sdk.wire.views import Artifact


def artifact_meant(here: Session, reference: str) -> Artifact:
    """By id, by its end, or as `RUN/NAME` with any reference to a run."""
    run, slash, name = reference.partition("/")
    if slash:
        reference = f"{run_meant(here, run)}/{name}"
    return here.client.artifacts.resolve(reference)


def run_meant(here: Session, reference: str) -> str:
    """The id of the run; a note says which that is, where it was not named by its whole id."""
    if is_id(reference):
        return reference.lower()
    run = here.client.runs.find(reference)
    made = f"{run['state'].replace('_', ' ')}, {ago_words(run['created_at'])}"
    here.screen.note(f"{reference} is {run['name']} ({run['id']}, {made})")
    return run["id"]
