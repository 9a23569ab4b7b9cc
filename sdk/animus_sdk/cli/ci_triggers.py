"""What started this command line, from the variables of GitHub Actions, GitLab CI and Jenkins.

A claim: whoever sets the variables says it. Never a token, never a link with credentials.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from animus_sdk._source_git import strip_credentials

MAX_WORDS = 200
MAX_LINK = 2_000
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

Trigger = dict[str, str]
Environment = Mapping[str, str]


def find_trigger(environment: Environment) -> Trigger | None:
    """As the gateway reads it; None outside of CI. What does not do as a claim is left out."""
    for variable, read in _SYSTEMS.items():
        if environment.get(variable):
            said = read(environment)
            return {key: value for key, value in said.items() if value}
    return None


def trigger_words(trigger: Trigger) -> str:
    """In one line, for people."""
    said = [
        trigger["system"],
        f"job {trigger['job']}" if "job" in trigger else "",
        f"by {trigger['actor']}" if "actor" in trigger else "",
        trigger.get("pipeline_url", ""),
    ]
    return ", ".join(filter(None, said))


def _github(said: Environment) -> Trigger:
    server, repository = said.get("GITHUB_SERVER_URL", ""), said.get("GITHUB_REPOSITORY", "")
    home = f"{server}/{repository}" if server and repository else ""
    run = said.get("GITHUB_RUN_ID", "")
    return {
        "system": "github",
        "repository": _link(home),
        "commit": _commit(said.get("GITHUB_SHA", "")),
        "ref": _words(said.get("GITHUB_REF", "")),
        "pipeline_url": _link(f"{home}/actions/runs/{run}" if home and run else ""),
        "job": _words(said.get("GITHUB_JOB", "")),
        "actor": _words(said.get("GITHUB_ACTOR", "")),
    }


def _gitlab(said: Environment) -> Trigger:
    return {
        "system": "gitlab",
        "repository": _link(said.get("CI_PROJECT_URL", "")),
        "commit": _commit(said.get("CI_COMMIT_SHA", "")),
        "ref": _words(said.get("CI_COMMIT_REF_NAME", "")),
        "pipeline_url": _link(said.get("CI_PIPELINE_URL", "")),
        "job": _words(said.get("CI_JOB_NAME", "")),
        "actor": _words(said.get("GITLAB_USER_LOGIN", "")),
    }


def _jenkins(said: Environment) -> Trigger:
    return {
        "system": "jenkins",
        "repository": _link(said.get("GIT_URL", "")),
        "commit": _commit(said.get("GIT_COMMIT", "")),
        "ref": _words(said.get("GIT_BRANCH", "")),
        "pipeline_url": _link(said.get("BUILD_URL", "")),
        "job": _words(said.get("JOB_NAME", "")),
        "actor": _words(said.get("BUILD_USER_ID", "") or said.get("CHANGE_AUTHOR", "")),
    }


_SYSTEMS: dict[str, Callable[[Environment], Trigger]] = {
    "GITHUB_ACTIONS": _github,
    "GITLAB_CI": _gitlab,
    "JENKINS_URL": _jenkins,
}
"""By the variable that says one is there."""


def _words(text: str) -> str:
    return text.strip()[:MAX_WORDS]


def _commit(text: str) -> str:
    return text if _COMMIT.fullmatch(text) else ""


def _link(text: str) -> str:
    """Without user name and password; nothing for what is no http or https URL."""
    stripped = strip_credentials(text) or ""
    fits = stripped.isascii() and " " not in stripped and "\\" not in stripped
    if not fits or len(stripped) > MAX_LINK or not stripped.startswith(("http://", "https://")):
        return ""
    return stripped if urlsplit(stripped).hostname else ""
