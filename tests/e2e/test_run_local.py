"""`animus run local` with a real engine and nothing else: no server, account, or network."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.console import Console
from deploy.embedded.engine import Engine, get_engine
from deploy.images.builds import ensure_image
from deploy.images.definitions import DEMO
from deploy.images.loading import provide
from tests.e2e.disks import small_disk
from tests.e2e.leftovers import containers_in
from tests.sdk.command_lines import asking_for_json
from tests.sdk.platforms import Finished, cli
from tests.sdk.terminals import terminal

pytestmark = pytest.mark.engine

PIPELINE = """\
apiVersion: animus/v1
pipeline: churn
image: {image}
memory: 128Mi
storage: 8Mi
steps:
  prepare:
    run: [python3, prepare.py]
    data: churn
    out: {{clean: clean}}
  train:
    run: [python3, train.py]
    in: prepare.clean
    out: {{model: model.json, notes: {{path: notes.txt, optional: true}}}}
    telemetry: true
    secrets: {{token: team/token}}
"""
PREPARE = """\
import os, pathlib
out = pathlib.Path('/animus/out/clean')
out.mkdir()
for name in os.listdir('/animus/in/churn'):
    (out / name).write_text(pathlib.Path('/animus/in/churn', name).read_text().upper())
"""
TRAIN = """\
import json, os, pathlib, animus_sdk
rows = pathlib.Path('/animus/in/clean/churn.csv').read_text().split()
for epoch in range(3):
    animus_sdk.log_metric('loss', 1 / (epoch + 1), step=epoch)
kept = animus_sdk.upload_artifact('train.py', kind='code')
print('in step', animus_sdk.in_step(), kept['origin'])
token = pathlib.Path('/animus/secrets/token')
json.dump({'rows': rows, 'token': token.read_text() if token.exists() else None,
           'local': os.environ['ANIMUS_LOCAL'], 'run': os.environ['ANIMUS_RUN_ID'],
           'parameters': json.load(open('/animus/params.json'))},
          open('/animus/out/model.json', 'w'))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Laptop:
    folder: Path
    environment: dict[str, str]
    image: str
    engine: Engine

    def write(self, name: str, content: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(content)

    def run(self, *words: str, **more: str) -> Finished:
        environment = {**self.environment, **more}
        return cli(*words, environment=environment, folder=self.folder, timeout=240)

    def json(self, *words: str, code: int = 0) -> Any:
        done = self.run(*asking_for_json(words))
        assert done.code == code, done
        return json.loads(done.out)

    def script(self, script: str, *more: str) -> Finished:
        """One step of this script."""
        words = ("run", "local", "--image", self.image, "--no-code", *more)
        return self.run(*words, "--", "python3", "-c", script)

    def containers(self) -> list[str]:
        return containers_in(self.folder, self.engine)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return get_engine(tmp_path_factory.mktemp("engine") / "engine.json", console=Console())


@pytest.fixture(scope="module")
def image(engine: Engine) -> str:
    built = ensure_image(DEMO, console=Console())
    provide(built, engine=engine, console=Console())
    return built.reference


@pytest.fixture
def laptop(engine: Engine, image: str, tmp_path: Path) -> Laptop:
    folder = tmp_path / "churn"
    made = Laptop(
        folder=folder,
        image=image,
        engine=engine,
        environment={
            "PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "error", "ANIMUS_GATEWAY_URL": "http://127.0.0.1:9",
            "ANIMUS_ENGINE": shlex.join(engine.command()),
            "ANIMUS_ENGINE_OPTIONS": shlex.join(engine.run_options),
        },
    )  # fmt: skip
    (folder / "data").mkdir(parents=True)
    made.write("data/churn.csv", "id,churned\n1,0\n")
    made.write("animus.yaml", PIPELINE.format(image=image))
    made.write("prepare.py", PREPARE)
    made.write("train.py", TRAIN)
    for command in (
        ("init", "-q"),
        ("add", "prepare.py", "train.py"),
        ("-c", "user.name=ann", "-c", "user.email=a@demo.invalid", "commit", "-qm", "First"),
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return made


def test_a_pipeline_runs_from_its_data_to_its_model(laptop: Laptop) -> None:
    line = ("run", "local", "animus.yaml", "--data", "churn=data", "-p", "lr=0.1")
    done = laptop.json(*line)
    assert (done["local"], done["evidence"], done["state"]) == (True, False, "succeeded")
    prepare, train = done["steps"]
    assert [one["name"] for one in prepare["outputs"]] == ["clean"]
    assert train["metrics"] == [
        {"name": "loss", "step_number": 2, "value": pytest.approx(1 / 3), "points": 3}
    ]
    folder = Path(done["folder"])
    assert folder == laptop.folder / ".animus" / "local" / "churn-1"
    assert json.loads((folder / "run.json").read_text()) == done
    model = json.loads((folder / "steps/train/out/model.json").read_text())
    assert model == {
        "rows": ["ID,CHURNED", "1,0"], "token": None, "local": "1", "run": "local-churn-1",
        "parameters": {"lr": 0.1},
    }  # fmt: skip
    assert "in step True local" in (folder / "steps/train/log.txt").read_text()
    assert laptop.containers() == []

    again = laptop.run(*line, "--secret", "token=MINE", MINE="s3cret")
    assert again.code == 0, again
    assert "churn-2 is local: no evidence" in again.out
    assert "loss = 0.333333 (at 2, 3 points)" in again.out
    second = laptop.folder / ".animus/local/churn-2/steps/train"
    assert json.loads((second / "out/model.json").read_text())["token"] == "s3cret"
    assert not [file for file in second.rglob("*") if ".secrets" in str(file)]
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=laptop.folder, capture_output=True, check=True
    )
    assert b".animus" not in status.stdout


def test_one_line_without_a_file_is_enough(laptop: Laptop) -> None:
    laptop.write("train.py", "open('/animus/out/model', 'w').write('m'); print('trained')\n")
    done = laptop.run(
        "run", "local", "--image", laptop.image, "--out", "model", "--", "python3", "train.py"
    )
    assert done.code == 0, done
    for said in ("the folder's name", "not committed", "on this machine alone", "trained", "model"):
        assert said in done.out, said
    assert "train succeeded" in done.err


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("raise SystemExit(3)", "(user, exit_code): exited with 3"),
        ("print('no model')", "(user, missing_output): It ended without its required output"),
        ("x = 'a' * 10**9", "(user, out_of_memory): It needed more than its"),
        ("open('/animus/work/x', 'wb').write(b'0' * (9 << 20))", "exited with 1"),
        (
            "import time\n"
            "for n in range(8): open(f'/animus/work/{n}', 'wb').write(b'0' * (2 << 20))\n"
            "time.sleep(60)",
            "(user, storage_exceeded)",
        ),
    ],
)
def test_a_step_that_fails_says_why_and_how_often(laptop: Laptop, script: str, said: str) -> None:
    laptop.write("train.py", script)
    laptop.write(
        "one.yaml",
        f"apiVersion: animus/v1\npipeline: one\nsteps: {{train: {{run: [python3, train.py],"
        f" image: '{laptop.image}', out: model, memory: 128Mi, storage: 8Mi}}}}\n",
    )
    done = laptop.run("run", "local", "one.yaml")
    assert done.code == 5, done
    assert said in done.err, done
    assert laptop.containers() == []
    assert sorted(one.name for one in laptop.folder.iterdir() if one.name != ".git") == [
        ".animus", "animus.yaml", "data", "one.yaml", "prepare.py", "train.py",
    ]  # fmt: skip


def test_what_failed_is_tried_again_and_what_comes_after_is_not_begun(laptop: Laptop) -> None:
    laptop.write(
        "retry.json",
        json.dumps(
            {
                "apiVersion": "animus/v1", "pipeline": "retry", "image": laptop.image,
                "timeout": 2,
                "steps": {
                    "slow": {"run": "echo begun; sleep 60"},
                    "later": {"run": "echo never", "after": "slow"},
                },
            }
        ),
    )  # fmt: skip
    done = laptop.json("run", "local", "retry.json", "--no-code", code=5)
    slow, later = done["steps"]
    assert [one["failure"]["code"] for one in slow["attempts"]] == ["timed_out"]
    assert (later["state"], later["attempts"]) == ("skipped", [])


def test_ctrl_c_leaves_nothing_running(laptop: Laptop) -> None:
    words = (
        "run", "local", "--image", laptop.image, "--no-code", "--",
        "python3", "-c", "print('begun', flush=True); import time; time.sleep(600)",
    )  # fmt: skip
    with terminal(words, environment=laptop.environment, folder=laptop.folder) as session:
        session.wait_for("begun\r\n")
        session.interrupt()
        assert session.end() == 130, session.shown
    assert laptop.containers() == []


def test_a_full_disk_is_told_while_data_is_copied(laptop: Laptop) -> None:
    laptop.write("data/large.csv", "x" * 300_000)
    with small_disk(laptop.folder / ".animus"):
        done = laptop.run("run", "local", "animus.yaml", "--data", "churn=data")
    assert done.code == 1, done
    assert "The disk is full" in done.err


def test_what_can_not_be_run_is_told_before_anything_is_done(laptop: Laptop) -> None:
    laptop.write("bad.yaml", PIPELINE.format(image=laptop.image).replace("after", "afer"))
    cases = {
        ("animus.yaml",): "The pipeline reads data that was not given: --data churn=PATH",
        ("animus.yaml", "--data", "churn=absent.csv"): "there is no absent.csv here",
        ("animus.yaml", "--data", "churn=data", "--data", "x=data"): "no step reads it",
        ("animus.yaml", "--data", "churn=data", "--secret", "x=HOME"): "no such secret",
        ("animus.yaml", "--data", "churn=data", "-p", "lr=1", "-p", "LR=2"): "would both be",
    }
    for words, said in cases.items():
        done = laptop.run("run", "local", *words)
        assert (done.code, said in done.err) == (2, True), done
    laptop.write("bad.yaml", PIPELINE.format(image=laptop.image).replace("telemetry", "telemtry"))
    done = laptop.run("run", "local", "bad.yaml", "--data", "churn=data")
    assert done.code == 2
    assert "bad.yaml:15:5:" in done.err
    assert "Did you mean 'telemetry'?" in done.err
    assert not (laptop.folder / ".animus" / "local").exists()


def test_without_an_engine_it_says_so(laptop: Laptop) -> None:
    done = laptop.run("run", "local", "animus.yaml", "--data", "churn=data", ANIMUS_ENGINE="/no")
    assert done.code == 1, done
    assert "No container can be run here" in done.err
