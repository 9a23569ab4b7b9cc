"""`python -m tests.bench.first_runs`: from Enter to succeeded, in turns with `mlflow run` and with
the script alone; one JSON object on standard output.

The same script, data and work each time; each turn has a parameter of its own. Seconds.
"""

from __future__ import annotations

import json
import os
import platform as machine
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.ports import free_ports
from deploy.embedded.stack import Stack
from deploy.local.accounts import Gateway
from deploy.local.platform import Prepared, prepare, settle
from tests.bench.accepting import install_mlflow

TURNS = 5
ROWS = 20_000
TRAIN = """\
import csv, json, math, os, sys
data, out = sys.argv[1:3]
rate = float(os.environ.get('ANIMUS_PARAM_LR') or sys.argv[3])
with open(data) as file:
    rows = [(float(r['tenure']), float(r['charges']), int(r['churned'])) for r in csv.DictReader(file)]
w0 = w1 = b = 0.0
for _ in range(40):
    g0 = g1 = gb = 0.0
    for x0, x1, y in rows:
        miss = 1 / (1 + math.exp(-(w0 * x0 + w1 * x1 + b))) - y
        g0 += miss * x0; g1 += miss * x1; gb += miss
    w0 -= rate * g0 / len(rows); w1 -= rate * g1 / len(rows); b -= rate * gb / len(rows)
with open(out, 'w') as file:
    json.dump([w0, w1, b], file)
"""  # noqa: E501  # a script, as people write them
ML_PROJECT = """\
name: churn
entry_points:
  main:
    parameters: {lr: {type: float, default: 0.1}}
    command: "python train.py data/churn.csv model {lr}"
"""

Run = Callable[[float], None]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="animus-first-runs-") as place:
        folder = _write_project(Path(place) / "churn")
        with _running_stack(Path(place)) as animus:
            first = _timed(lambda: animus(folder, 0.5))
            mlflow = _mlflow(folder, Path(place))
            mlflow(0.5)  # it makes its database
            works: dict[str, Run] = {
                "animus_run_submit": lambda rate: animus(folder, rate),
                "mlflow_run": mlflow,
                "script_alone": lambda rate: _script(folder, rate),
            }
            seconds = _in_turns(works)
    json.dump({"machine": _machine(), **_figures(seconds, first=first)}, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def _in_turns(works: Mapping[str, Run]) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(TURNS):
        for name, work in works.items():
            seconds[name].append(_timed(lambda work=work, turn=turn: work(0.1 + turn / 100)))  # type: ignore[misc]
            sys.stderr.write(f"    {name}: {seconds[name][-1]:.2f} s\n")
    return seconds


def _figures(seconds: Mapping[str, Sequence[float]], *, first: float) -> dict[str, Any]:
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    alone = medians["script_alone"]
    ours, theirs = medians["animus_run_submit"], medians["mlflow_run"]
    return {
        "seconds": {name: [round(one, 2) for one in each] for name, each in seconds.items()},
        "median_seconds": {name: round(one, 2) for name, one in medians.items()},
        "overhead_seconds": {
            "animus_run_submit": round(ours - alone, 2),
            "mlflow_run": round(theirs - alone, 2),
        },
        "animus_first_seconds": round(first, 2),
        "ratios": {"animus_to_mlflow": round(ours / theirs, 2)},
    }


def _write_project(folder: Path) -> Path:
    (folder / "data").mkdir(parents=True)
    rows = (f"{n % 71 / 71},{n % 97 / 97},{int(n % 7 == 0)}\n" for n in range(ROWS))
    (folder / "data" / "churn.csv").write_text("tenure,charges,churned\n" + "".join(rows))
    (folder / "train.py").write_text(TRAIN)
    (folder / "MLproject").write_text(ML_PROJECT)
    (folder / ".gitignore").write_text("data/\nmodel\n")
    identity = ("-c", "user.name=ann", "-c", "user.email=ann@demo.invalid")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "First")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@contextmanager
def _running_stack(place: Path) -> Iterator[Callable[[Path, float], None]]:
    """A stack as the demo's, and `animus run submit` on it."""
    console = Console()
    prepared = prepare(place / "stack", free_ports(), console=console)
    with Stack(prepared.config) as stack:
        console.say("    starting the stack to measure")
        stack.start()
        environment = _person(prepared, stack.site.addresses.api)

        def submit(folder: Path, rate: float) -> None:
            command = ["--", "python3", "train.py", "/animus/in/churn/churn.csv"]
            said = ["--image", prepared.demo_image.tag, "--data", "churn=data/churn.csv"]
            words = [*said, "--out", "model", "-p", f"lr={rate}", *command, "/animus/out/model"]
            _run([_beside("animus"), "run", "submit", *words], folder, environment)

        yield submit


def _person(prepared: Prepared, url: str) -> dict[str, str]:
    config: StackConfig = prepared.config
    accounts = settle(config, executor="container", runtime=prepared.engine.best_runtime)
    gateway = Gateway(url, accounts.admin)
    try:
        members = {"engineer": ["editor"]}
        project = gateway.post(
            "/projects", {"name": "first", "allows_production": False, "members": members}
        )
    finally:
        gateway.close()
    return {
        "ANIMUS_GATEWAY_URL": url,
        "ANIMUS_AUTH_TOKEN": accounts.engineer,
        "ANIMUS_PROJECT": project["name"],
        "ANIMUS_ENGINE": shlex.join(prepared.engine.command()),
    }


def _mlflow(folder: Path, place: Path) -> Run:
    python = install_mlflow()
    environment = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db",
        "PATH": f"{python.parent}:{os.environ['PATH']}",
    }

    def run(rate: float) -> None:
        words = ["run", ".", "--env-manager", "local", "-P", f"lr={rate}"]
        _run([str(python), "-m", "mlflow", *words], folder, environment)

    return run


def _script(folder: Path, rate: float) -> None:
    _run([sys.executable, "train.py", "data/churn.csv", "model", str(rate)], folder, {})


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.exit(f"{command[:4]} ended with {done.returncode}: {done.stdout}{done.stderr}")


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _beside(program: str) -> str:
    return str(Path(sys.executable).parent / program)


def _machine() -> dict[str, Any]:
    load = os.getloadavg()[0]
    return {"cores": os.cpu_count(), "python": machine.python_version(), "load_after": load}


if __name__ == "__main__":
    sys.exit(main())
