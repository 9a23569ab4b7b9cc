"""Where api and store are, and whether a connection to them can be made: all that can be seen from
within a pod of the network policies that hold it. Nothing is said over such a connection."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from animus_sdk.errors import SettingsUnfit
from animus_sdk.settings import host_and_port

PLACES_VARIABLE = "ANIMUS_PLACES"

CONNECT_SECONDS = 1.0
PAUSE_SECONDS = 0.2
CLOSED_ROUNDS = 2
"""A policy that drops packets looks like one packet that was lost."""

Place = tuple[str, int]


def read_places(environment: Mapping[str, str]) -> tuple[Place, ...]:
    """None, unless the pod's network is switched. Raises `SettingsUnfit`."""
    said = environment.get(PLACES_VARIABLE)
    if not said:
        return ()
    return tuple(host_and_port(each, source=PLACES_VARIABLE) for each in said.split(","))


def are_closed(places: Sequence[Place], *, within: float) -> bool:
    """Wait until none is reached any more; False where one still is when time is over."""
    if not places:
        raise SettingsUnfit(f"{PLACES_VARIABLE} is not set. The agent starts this, not a person.")
    deadline, closed = time.monotonic() + within, 0
    while closed < CLOSED_ROUNDS:
        closed = 0 if any(_reached(places)) else closed + 1
        if time.monotonic() > deadline:
            return closed >= CLOSED_ROUNDS
        time.sleep(PAUSE_SECONDS)
    return True


def are_open(places: Sequence[Place], *, within: float) -> bool:
    """Wait until each is reached; False where one is not when time is over."""
    deadline = time.monotonic() + within
    while not all(_reached(places)):
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def _reached(places: Sequence[Place]) -> list[bool]:
    """Of each, asked at once: who is refused silently is told after a time only."""
    if not places:
        return []
    with ThreadPoolExecutor(len(places)) as threads:
        return list(threads.map(_is_reached, places))


def _is_reached(place: Place) -> bool:
    """A name that nobody resolves is not reached either."""
    try:
        with socket.create_connection(place, timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False
