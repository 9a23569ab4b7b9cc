"""What may know what: the import contracts, and what is really loaded by a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = "import sys, {module}; print('\\n'.join(sys.modules))"


def loaded_by(module: str) -> set[str]:
    """Every module that a fresh interpreter has after importing this one."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(module=module)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def below(packages: set[str], modules: set[str]) -> set[str]:
    return {m for m in modules if any(m == p or m.startswith(p + ".") for p in packages)}


def test_the_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", ["animusd.api_process", "api.document"])
def test_the_exposed_process_loads_no_temporal(module: str) -> None:
    assert not below({"temporalio", "workflows", "activities"}, loaded_by(module))


def test_workflows_load_nothing_that_reaches_outside() -> None:
    outside = {
        "animus.adapters", "animus.services", "animus.store", "api", "fastapi", "httpx",
        "kubernetes", "minio", "psycopg", "sqlalchemy", "sqlmodel",
    }  # fmt: skip
    assert not below(outside, loaded_by("workflows.runs"))


def test_the_pure_core_loads_no_framework() -> None:
    outside = {"fastapi", "httpx", "minio", "psycopg", "sqlalchemy", "starlette", "temporalio"}
    modules = loaded_by("animus.domain.policy_evaluation, animus.ledger.leaves")
    assert not below(outside | {"animus.store", "animus.services"}, modules)
