"""A live table that can't be drawn ends the watch; it does not go on before nobody."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from animus_sdk.cli.screens import Screen
from animus_sdk.cli.sessions import Session
from animus_sdk.cli.watching import wait_for_run

from tests.support.waiting import PATIENCE

SHOWN: dict[str, Any] = {
    "id": "r", "name": "sepia-fox", "state": "running", "waiting_for": None, "explanation": None,
    "questions": [], "steps": [], "failure_code": None,
}  # fmt: skip


class Runs:
    """One that goes on and on."""

    def __init__(self, detail: dict[str, Any]) -> None:
        self._detail = detail

    def get(self, _run_id: str) -> dict[str, Any]:
        return self._detail

    def event_reader(self, _run_id: str) -> Runs:
        return self

    def read_once(self, *, follow: bool) -> Iterator[None]:
        while follow:
            time.sleep(0.05)
            yield None

    def interrupt(self) -> None:
        return


class Person:
    """Before a terminal."""

    def __init__(self) -> None:
        screen, keyboard = os.openpty()
        self._screen = os.fdopen(screen, "rb", buffering=0)
        self.out = os.fdopen(keyboard, "w", buffering=1)

    def leave(self) -> None:
        self._screen.close()


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    monkeypatch.setenv("TERM", "xterm-256color")
    person = Person()
    yield person
    person.leave()
    with suppress(OSError):  # what nobody reads any more
        person.out.close()


def watch(person: Person, detail: dict[str, Any]) -> None:
    here = SimpleNamespace(
        screen=Screen(out=person.out, err=person.out), client=SimpleNamespace(runs=Runs(detail))
    )
    wait_for_run(cast("Session", here), "r", until="end", timeout=PATIENCE)


def test_what_another_version_of_the_gateway_does_not_say_is_no_endless_watch(
    person: Person,
) -> None:
    with pytest.raises(KeyError, match="steps"):
        watch(person, {name: said for name, said in SHOWN.items() if name != "steps"})


def test_nor_is_a_terminal_that_is_gone(person: Person) -> None:
    leaving = threading.Timer(0.5, person.leave)
    leaving.start()
    with pytest.raises(OSError, match="Input/output error"):
        watch(person, SHOWN)
    leaving.join()
