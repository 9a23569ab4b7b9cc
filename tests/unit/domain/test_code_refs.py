"""Code references: commits only, and no claim that its own parts contradict."""

from __future__ import annotations

from typing import Any

import pytest

from animus.domain.code_refs import CodeRef, canonical_limitations, check_code_ref, in_order
from animus.domain.errors import InvalidDocument
from tests.support.documents import COMMIT, DIGEST_A, code

SUBMODULE = {"code": "submodule", "subject": "vendor"}
POINTER = {"code": "lfs_pointer", "subject": "model.bin"}


@pytest.mark.parametrize(
    "commit", ["main", "v1.0", COMMIT[:12], COMMIT.upper(), "HEAD", "", "g" * 40]
)
def test_a_branch_a_tag_or_a_short_id_is_no_commit(commit: str) -> None:
    with pytest.raises(ValueError, match="commit"):
        CodeRef.model_validate(code(commit=commit))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"object_format": "sha256"}, "/code/commit"),
        ({"commit": "a" * 64}, "/code/commit"),
        ({"state": "proved"}, "/code/state"),
        ({"state": "uncommitted"}, "/code/state"),
        (
            {"state": "proved", "pack_sha256": DIGEST_A, "limitations": [SUBMODULE]},
            "/code/limitations",
        ),
    ],
)
def test_a_reference_that_contradicts_itself_is_refused(
    changes: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InvalidDocument) as refused:
        check_code_ref(CodeRef.model_validate(code(**changes)))
    assert [fault.pointer for fault in refused.value.faults] == [pointer]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"repo_url": None},
        {"state": "proved", "pack_sha256": DIGEST_A},
        {"state": "claimed", "pack_sha256": DIGEST_A, "limitations": [SUBMODULE]},
        {"state": "uncommitted", "pack_sha256": DIGEST_A},
        {"commit": "a" * 64, "object_format": "sha256"},
    ],
)
def test_a_reference_that_can_be_right_is_accepted(changes: dict[str, Any]) -> None:
    check_code_ref(CodeRef.model_validate(code(**changes)))


def test_the_order_of_limitations_is_not_part_of_a_reference() -> None:
    one = CodeRef.model_validate(code(limitations=[SUBMODULE, POINTER]))
    other = CodeRef.model_validate(code(limitations=[POINTER, SUBMODULE]))
    assert in_order(one) == in_order(other)
    assert canonical_limitations(one.limitations) == canonical_limitations(other.limitations)
