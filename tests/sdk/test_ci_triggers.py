"""What CI systems say of themselves, as the gateway is told: bounded, without credentials."""

from __future__ import annotations

import pytest
from animus_sdk.cli.ci_triggers import find_trigger, trigger_words

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.example",
    "GITHUB_REPOSITORY": "team/model",
    "GITHUB_RUN_ID": "7",
    "GITHUB_SHA": COMMIT,
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_JOB": "submit",
    "GITHUB_ACTOR": "ada",
    "GITHUB_TOKEN": "ghs_never",
}
GITLAB = {
    "GITLAB_CI": "true",
    "CI_PROJECT_URL": "https://gitlab.example/team/model",
    "CI_PIPELINE_URL": "https://gitlab.example/team/model/-/pipelines/7",
    "CI_COMMIT_SHA": COMMIT,
    "CI_COMMIT_REF_NAME": "main",
    "CI_JOB_NAME": "submit",
    "GITLAB_USER_LOGIN": "ada",
    "CI_JOB_TOKEN": "never",
    "CI_REPOSITORY_URL": "https://gitlab-ci-token:never@gitlab.example/team/model.git",
}
JENKINS = {
    "JENKINS_URL": "https://jenkins.example/",
    "GIT_URL": "https://bot:never@git.example/team/model.git?access=never#never",
    "GIT_COMMIT": COMMIT,
    "GIT_BRANCH": "main",
    "BUILD_URL": "https://jenkins.example/job/model/7/",
    "JOB_NAME": "model",
    "BUILD_USER_ID": "ada",
}


@pytest.mark.parametrize("said", [GITHUB, GITLAB, JENKINS], ids=["github", "gitlab", "jenkins"])
def test_a_job_is_told_by_commit_address_job_and_person(said: dict[str, str]) -> None:
    trigger = find_trigger(said)
    assert trigger is not None
    assert set(trigger) == {
        "system", "repository", "commit", "ref", "pipeline_url", "job", "actor"
    }  # fmt: skip
    assert trigger["commit"] == COMMIT
    assert trigger["actor"] == "ada"
    assert trigger["pipeline_url"].rstrip("/").endswith("/7")
    assert "never" not in str(trigger)
    assert trigger["pipeline_url"] in trigger_words(trigger)


def test_outside_of_ci_nothing_is_told() -> None:
    assert (
        find_trigger({"GITHUB_SHA": COMMIT, "CI_JOB_NAME": "x", "GIT_URL": "https://a.b"}) is None
    )


@pytest.mark.parametrize(
    "link",
    ["git@git.example:team/model.git", "ssh://git@git.example/x", "javascript:alert(1)", "/srv/x",
     "https://", "https://git.example/a b", "https://git.example/\u202e", "https://[::1",
     "https://git.example/" + "x" * 2_000, "https://git.example/\x1b[31m"],
)  # fmt: skip
def test_what_is_no_link_is_left_out(link: str) -> None:
    trigger = find_trigger(JENKINS | {"GIT_URL": link})
    assert trigger is not None
    assert "repository" not in trigger


def test_what_is_no_full_commit_is_left_out_and_long_words_are_cut() -> None:
    trigger = find_trigger(GITLAB | {"CI_COMMIT_SHA": "main", "CI_JOB_NAME": "x" * 1_000})
    assert trigger is not None
    assert "commit" not in trigger
    assert trigger["job"] == "x" * 200


def test_a_job_that_says_no_more_is_told_by_its_system() -> None:
    assert find_trigger({"GITLAB_CI": "true"}) == {"system": "gitlab"}
