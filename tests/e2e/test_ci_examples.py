"""The example files for CI, on a whole installation: previewed, submitted, approved, waited for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.ci_examples import COMMIT, GITHUB, GITLAB, JENKINS, JOBS, Example
from tests.e2e.installations import Installation
from tests.e2e.runs import E2eRun
from tests.support.people import unique

EXAMPLES = {"github": GITHUB, "gitlab": GITLAB, "jenkins": JENKINS}
SCRIPT_SECONDS = 120
PROGRAM = """
import pathlib
rows = pathlib.Path('/animus/in/churn/churn.csv').read_text().splitlines()
pathlib.Path('/animus/out/model').write_text(str(len(rows)))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """What a job has: a folder with the pipeline under git, and variables."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env={**self.environment, **more},
            capture_output=True, text=True, timeout=SCRIPT_SECONDS, check=False,
        )  # fmt: skip

    def animus(self, *arguments: str) -> Any:
        done = self.run("animus", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def check_out(folder: Path, installation: Installation, project: str, example: Example) -> Checkout:
    """A token and a project as CI has them, and nothing of the machine but its programs."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    checkout = Checkout(
        folder=folder,
        environment={
            "PATH": programs, "HOME": str(folder), "LANG": "C.UTF-8",
            "ANIMUS_GATEWAY_URL": installation.stack.site.addresses.api,
            "ANIMUS_PROJECT": project, "ANIMUS_AUTH_TOKEN": installation.engineer.token,
            **example.variables,
        },
    )  # fmt: skip
    write_project(checkout, installation.image)
    return checkout


def write_project(checkout: Checkout, image: str) -> None:
    repository, _, digest = image.partition("@")
    step = {"run": "python3 train.py", "data": "churn", "out": "model"}
    pipeline = {
        "apiVersion": "animus/v1", "pipeline": "churn", "image": image, "memory": "256Mi",
        "steps": {"train": step},
    }  # fmt: skip
    locked = {
        "name": "runtime", "repository": repository, "platform": "linux/amd64",
        "manifest_digest": digest,
    }  # fmt: skip
    files = {
        "animus.yaml": yaml.safe_dump(pipeline),
        "lock.json": json.dumps({"images": [locked], "packages": []}),
        "train.py": PROGRAM,
        ".gitignore": "churn.csv\nrun.json\npreview.md\n.config/\n.cache/\n",
        "churn.csv": "a,b\n1,2\n",
    }
    for name, content in files.items():
        (checkout.folder / name).write_text(content)
    identity = ("-c", "user.name=ada", "-c", "user.email=ada@example.invalid")
    for command in (
        ("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "A 'quoted' reason $(x)"),
    ):  # fmt: skip
        done = checkout.run("git", *command)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_an_example_has_a_script_for_each_job(example: Example) -> None:
    scripts = example.scripts()
    assert set(scripts) == set(JOBS)
    assert all("animus run" in script for script in scripts.values())


@pytest.mark.stack
@pytest.mark.engine
@pytest.mark.parametrize("system", EXAMPLES)
async def test_an_example_does_what_it_says(
    installation: Installation, tmp_path: Path, system: str
) -> None:
    example = EXAMPLES[system]
    scripts = example.scripts()
    project = await create_project(installation)
    checkout = check_out(tmp_path, installation, project.rpartition("/")[2], example)
    checkout.animus("dataset", "push", "churn", "churn.csv")

    previewed = checkout.run(*example.shell, "-c", scripts["preview"])
    assert previewed.returncode == 0, previewed.stderr
    comment = (tmp_path / "preview.md").read_text()
    assert comment.startswith("### Animus preview: needs approval\n")
    assert "**The first of its kind:" in comment
    assert checkout.animus("env", "list") == {"environments": [], "locks": []}
    assert checkout.animus("run", "list")["runs"] == []

    submitted = checkout.run(*example.shell, "-c", scripts["submit"])
    assert submitted.returncode == 0, submitted.stderr
    detail = json.loads((tmp_path / "run.json").read_text())
    assert detail["state"] == "awaiting_approval"
    assert detail["reason"] == "A 'quoted' reason $(x)"
    assert detail["plan_digest"] in comment
    assert detail["trigger"]["system"] == system
    assert detail["trigger"]["commit"] == COMMIT
    assert detail["trigger"]["pipeline_url"].rstrip("/").endswith("/7")

    await E2eRun(installation=installation, project=project, id=detail["id"]).approve()
    finished = checkout.run(*example.shell, "-c", scripts["finish"], RUN=detail["id"])
    assert finished.returncode == 0, finished.stderr
    again = checkout.run(*example.shell, "-c", scripts["preview"])
    assert again.returncode == 0, again.stderr
    assert f"**Nothing differs from `{detail['name']}`.**" in (tmp_path / "preview.md").read_text()


async def create_project(installation: Installation) -> str:
    """For production, under the policy that every project has: one reviewer."""
    made = await installation.admin.post(
        "/projects",
        {
            "name": unique("ci"), "allows_production": True,
            "members": {"engineer": ["editor"], "reviewer": ["reviewer"]},
        },
    )  # fmt: skip
    return f"/projects/{made['id']}"
