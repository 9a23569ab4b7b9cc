"""`make` explains itself, and every target it explains exists."""

from __future__ import annotations

import os
import subprocess

import pytest

from deploy.embedded.configuration import CHECKOUT
from deploy.embedded.virtualenv import PACKAGES

TARGETS = {
    *("help", "setup", "servers", "demo", "demo-smoke", "demo-down"),
    *("lint", "fmt", "build", "check", "test", "bench", "lock"),
    *("cluster-up", "cluster-down", "cluster-status", "test-cluster", "bench-cluster"),
    *("bench-first-run", "recording"),
}


_OUTSIDE_OF_MAKE = {name: value for name, value in os.environ.items() if "MAKE" not in name}
"""`make test` runs these tests: a make within it would say where it is."""


def make(*arguments: str) -> str:
    ran = subprocess.run(
        ["make", *arguments], cwd=CHECKOUT, env=_OUTSIDE_OF_MAKE,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ran.stdout


def test_make_alone_shows_every_target_with_a_sentence() -> None:
    lines = [line.split(maxsplit=1) for line in make().splitlines()]
    assert {target for target, _ in lines} == TARGETS
    assert all(len(sentence.split()) >= 3 for _, sentence in lines)


def test_every_target_can_be_resolved() -> None:
    for target in TARGETS:
        make("--dry-run", target)


@pytest.mark.parametrize("target", ["demo-down", "cluster-down"])
def test_purge_is_passed_on(target: str) -> None:
    assert "--purge" in make("--dry-run", target, "PURGE=1")
    assert "--purge" not in make("--dry-run", target)


@pytest.mark.parametrize("target", ["demo", "demo-smoke"])
def test_the_executor_is_passed_on(target: str) -> None:
    assert "--executor kubernetes" in make("--dry-run", target, "EXECUTOR=kubernetes")
    assert "--executor" not in make("--dry-run", target)


def test_setup_compiles_all_that_is_ours() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert {path.partition("/")[0] for path in tracked.stdout.splitlines()} == set(PACKAGES)
