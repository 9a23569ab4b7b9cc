"""The scripts of the example files for CI systems, as those systems would run them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

EXAMPLES = Path(__file__).parents[2] / "docs" / "ci"
JOBS = ("preview", "submit", "finish")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
_STAGE = re.compile(r"stage\('(?P<name>\w+)'\)(?P<rest>.*?)(?=stage\('|\Z)", re.DOTALL)
_SHELL = re.compile(r"sh '''(?P<script>.*?)'''", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A file, how its scripts are found and begun, and what its system says of itself."""

    file: str
    read: Callable[[str], dict[str, str]]
    shell: tuple[str, ...]
    variables: Mapping[str, str]

    def scripts(self) -> dict[str, str]:
        """By job; of steps that do not call `animus` none."""
        return self.read((EXAMPLES / self.file).read_text())


def _of_github(text: str) -> dict[str, str]:
    document = yaml.safe_load(text)
    assert document["defaults"]["run"]["shell"] == "bash"
    return {
        job: "".join(
            step["run"]
            for step in said["steps"]
            if re.search(r"^\s*animus ", step.get("run", ""), re.M)
        )
        for job, said in document["jobs"].items()
    }


def _of_gitlab(text: str) -> dict[str, str]:
    document: dict[str, Any] = yaml.safe_load(text)
    return {
        name.removeprefix("animus-"): "\n".join(said["script"])
        for name, said in document.items()
        if name.startswith("animus-")
    }


def _of_jenkins(text: str) -> dict[str, str]:
    """Without the line that names the shell; it says `bash -e`."""
    found = {}
    for stage in _STAGE.finditer(text):
        script = _SHELL.search(stage["rest"])
        assert script is not None
        first, _, rest = script["script"].partition("\n")
        assert first == "#!/bin/bash -e"
        found[stage["name"].lower()] = textwrap.dedent(rest).replace("\\\\", "\\")
    return found


GITHUB = Example(
    file="github-actions.yml",
    read=_of_github,
    shell=("bash", "--noprofile", "--norc", "-eo", "pipefail"),
    variables={
        "GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "team/model", "GITHUB_RUN_ID": "7", "GITHUB_SHA": COMMIT,
        "GITHUB_REF": "refs/heads/main", "GITHUB_JOB": "submit", "GITHUB_ACTOR": "ada",
    },
)  # fmt: skip
GITLAB = Example(
    file="gitlab-ci.yml",
    read=_of_gitlab,
    shell=("bash", "-e"),
    variables={
        "GITLAB_CI": "true", "CI_PROJECT_URL": "https://gitlab.example/team/model",
        "CI_PROJECT_PATH": "team/model", "CI_COMMIT_SHA": COMMIT, "CI_COMMIT_SHORT_SHA": COMMIT[:8],
        "CI_COMMIT_REF_NAME": "main", "CI_JOB_NAME": "animus-submit", "GITLAB_USER_LOGIN": "ada",
        "CI_PIPELINE_URL": "https://gitlab.example/team/model/-/pipelines/7",
    },
)  # fmt: skip
JENKINS = Example(
    file="Jenkinsfile",
    read=_of_jenkins,
    shell=("bash", "-e"),
    variables={
        "JENKINS_URL": "https://jenkins.example/", "JOB_NAME": "model", "BUILD_NUMBER": "7",
        "BUILD_URL": "https://jenkins.example/job/model/7/", "GIT_COMMIT": COMMIT,
        "GIT_URL": "https://git.example/team/model.git", "GIT_BRANCH": "main",
    },
)  # fmt: skip
