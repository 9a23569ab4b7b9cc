"""`python -m tests.bench`: one JSON object on standard output; progress goes to standard error."""

from __future__ import annotations

import argparse
import json
import os
import platform as machine
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from tests.bench.accepting import measure_accepting
from tests.bench.commits import measure_commits
from tests.bench.governed import measure_noop
from tests.bench.platform import Platform, running_platform
from tests.bench.previewing import measure_preview
from tests.bench.queueing import measure_queueing

Measure = Callable[[Platform], Awaitable[dict[str, Any]]]
MEASURES: dict[str, Measure] = {
    "postgres_commits": measure_commits,
    "noop": measure_noop,
    "queueing": measure_queueing,
    "preview": measure_preview,
    "accept": measure_accepting,
}
"""In this order: the last one needs nobody who executes, and stops whoever does."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.bench", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="MEASURE", help=f"of: {', '.join(MEASURES)}")
    chosen = parser.parse_args().only or list(MEASURES)
    ordered = [name for name in MEASURES if name in chosen]
    if unknown := set(chosen) - set(MEASURES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there is {', '.join(MEASURES)}")
    with running_platform() as platform:
        results = uvloop.run(_measure(platform, ordered))
    json.dump({"machine": _machine(), **results, "ratios": _ratios(results)}, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


async def _measure(platform: Platform, chosen: list[str]) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for name in chosen:
        sys.stderr.write(f"    measuring {name}\n")
        results |= await MEASURES[name](platform)
    return results


def _machine() -> dict[str, Any]:
    load = os.getloadavg()[0]
    return {"cores": os.cpu_count(), "python": machine.python_version(), "load_before": load}


def _ratios(results: dict[str, Any]) -> dict[str, float]:
    """Of ours to what stands beside it, for what was measured of both."""
    wanted = {
        "accept_1_to_mlflow": ("accept_run", "mlflow_runs_create", "in_flight_1", "per_second"),
        "accept_16_to_mlflow": ("accept_run", "mlflow_runs_create", "in_flight_16", "per_second"),
        "governed_p50_to_bare": ("governed_noop_run", "bare_workflow", "in_flight_1", "p50_ms"),
        "governed_50_to_bare": ("governed_noop_run", "bare_workflow", "in_flight_50", "per_second"),
    }
    return {
        name: round(results[ours][load][figure] / results[theirs][load][figure], 2)
        for name, (ours, theirs, load, figure) in wanted.items()
        if load in results.get(ours, {}) and load in results.get(theirs, {})
    }


if __name__ == "__main__":
    sys.exit(main())
