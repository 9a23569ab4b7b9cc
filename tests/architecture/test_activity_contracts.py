"""Every activity that a contract names is implemented once, under the same name and types."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Any, cast, get_type_hints

import pytest

import activities
import animus.contracts
from activities.notifications import StoredNotificationActivities
from activities.queues import StoredQueueActivities
from activities.runs import StoredRunActivities
from animusd.workers import control_activities


def modules_of(package: ModuleType) -> list[ModuleType]:
    prefix = package.__name__ + "."
    return [
        importlib.import_module(found.name)
        for found in pkgutil.iter_modules(package.__path__, prefix)
    ]


def activity_name(function: object) -> str | None:
    definition = getattr(function, "__temporal_activity_definition", None)
    return getattr(definition, "name", None)


def activities_in(package: ModuleType) -> Iterator[tuple[str, Any]]:
    """(activity name, function) of every class that a module of the package defines."""
    for module in modules_of(package):
        for _, defined in inspect.getmembers(module, inspect.isclass):
            if defined.__module__ == module.__name__:
                for function in vars(defined).values():
                    name = activity_name(function)
                    if name is not None:
                        yield name, function


DECLARED = dict(activities_in(animus.contracts))
IMPLEMENTED = list(activities_in(activities))


def test_every_activity_is_implemented_once() -> None:
    assert Counter(name for name, _ in IMPLEMENTED) == Counter(DECLARED.keys())


@pytest.mark.parametrize(("name", "function"), IMPLEMENTED, ids=[name for name, _ in IMPLEMENTED])
def test_an_implementation_takes_and_gives_what_its_contract_says(name: str, function: Any) -> None:
    assert get_type_hints(function) == get_type_hints(DECLARED[name])


def test_the_control_worker_hosts_all_activities_of_runs_queue_and_notifications() -> None:
    nothing = cast(Any, None)
    hosted = control_activities(
        StoredRunActivities(database=nothing, store=nothing, judge=nothing, signer=nothing),
        StoredQueueActivities(database=nothing),
        StoredNotificationActivities(database=nothing, post=None),
    )
    names = [activity_name(function) for function in hosted]
    declared = [name for name in DECLARED if name.startswith(("run.", "queue.", "notifications."))]
    assert sorted(map(str, names)) == sorted(declared)
