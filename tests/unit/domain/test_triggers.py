"""Links of a trigger: web addresses that a person may follow, without credentials."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from animus.domain.triggers import MAX_URL, Trigger

GOOD = (
    "https://ci.example/team/model/-/pipelines/7",
    "http://ci.example:8080/job/train%20it/3/?a=b#c",
    "https://[2001:db8::1]/x",
)
BAD = (
    "", "ci.example/7", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd",
    "https://", "https:///x", "https://user:secret@ci.example/", "https://user@ci.example/",
    "https://ci.example/\n7", "https://ci.example/\x1b[31m", "https://ci.example/ 7",
    "https://ci.example\\@evil.example", "https://ci.example/\u202e", "https://[::1",
    "https://ci.example/" + "x" * MAX_URL,
)  # fmt: skip


@pytest.mark.parametrize("url", GOOD)
def test_a_web_address_is_a_link(url: str) -> None:
    assert Trigger(system="gitlab", pipeline_url=url).pipeline_url == url


@pytest.mark.parametrize("url", BAD)
@pytest.mark.parametrize("member", ["repository", "pipeline_url"])
def test_anything_else_is_none(member: str, url: str) -> None:
    with pytest.raises(ValidationError):
        Trigger.model_validate({"system": "gitlab", member: url})


def test_what_is_not_known_is_left_out() -> None:
    assert Trigger(system="jenkins", job="train").content() == {"system": "jenkins", "job": "train"}


@pytest.mark.parametrize("commit", ["main", "abc123", "F" * 40])
def test_a_commit_is_a_full_id(commit: str) -> None:
    with pytest.raises(ValidationError):
        Trigger.model_validate({"system": "github", "commit": commit})
