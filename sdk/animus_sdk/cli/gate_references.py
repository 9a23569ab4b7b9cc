"""What people type for a gate: its id, the end of its id, or the run that it is of."""

from __future__ import annotations

from animus_sdk.cli.references import run_meant
from animus_sdk.cli.sessions import Session
from animus_sdk.errors import ApiError
from animus_sdk.printable import printable
from animus_sdk.resources.references import SHORTEST_SUFFIX, UnknownReference, is_id
from animus_sdk.wire.views import Gate


def get_open_gate(here: Session, reference: str) -> Gate:
    waiting = [gate for gate in find_gates(here, reference) if gate["closing"] is None]
    if not waiting:
        raise nothing_to_decide(here, reference)
    if len(waiting) > 1:
        said = ", ".join(f"{gate['name']} ({gate['id']})" for gate in waiting)
        raise UnknownReference(f"Several gates wait; name one by its id: {said}.", code="ambiguous")
    return waiting[0]


def find_gates(here: Session, reference: str) -> list[Gate]:
    """The one gate that is named, or all gates of the run that is named, oldest first."""
    gate = _find_gate(here, reference)
    if gate is not None:
        return [gate]
    return here.client.runs.gates(run_meant(here, reference))


def _find_gate(here: Session, reference: str) -> Gate | None:
    """By its id; an open one also by the end of its id."""
    if is_id(reference):
        return _find_gate_by_id(here, reference)
    if len(reference) < SHORTEST_SUFFIX:
        return None
    wanted = reference.lower()
    ending_so = [gate for gate in here.client.gates.open() if gate["id"].endswith(wanted)]
    return ending_so[0] if len(ending_so) == 1 else None


def _find_gate_by_id(here: Session, identifier: str) -> Gate | None:
    try:
        return here.client.gates.get(identifier)
    except ApiError as error:
        if error.status != 404:
            raise
        return None


def nothing_to_decide(here: Session, reference: str) -> UnknownReference:
    """Says why: a run that has ended is better explained than not found."""
    gate = _find_gate(here, reference)
    run_id = gate["run_id"] if gate is not None else here.client.runs.resolve(reference)
    detail = here.client.runs.get(run_id)
    waits = f", it waits for {detail['waiting_for']}" if detail["waiting_for"] else ""
    return UnknownReference(
        f"{printable(detail['name'])} takes no decision now: it is"
        f" {detail['state'].replace('_', ' ')}{waits}.",
        code="no_open_gate",
    )
