"""Our top-level names are ours: no installed distribution may provide them too."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {
    "activities": "animus-control-plane",
    "animus": "animus-control-plane",
    "animus_sdk": "animus-datalab",
    "animusd": "animus-control-plane",
    "api": "animus-control-plane",
    "workflows": "animus-control-plane",
}


@pytest.mark.parametrize(("name", "distribution"), OURS.items())
def test_a_name_is_provided_by_one_of_our_distributions_only(name: str, distribution: str) -> None:
    providers = set(importlib.metadata.packages_distributions().get(name, ()))
    assert providers <= {distribution}


@pytest.mark.parametrize("name", OURS)
def test_a_name_resolves_to_this_checkout(name: str) -> None:
    assert Path(importlib.import_module(name).__file__ or "").is_relative_to(ROOT)
