"""Manifests: one digest for a set of files, whatever their order; no unsafe path."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animus.domain.errors import InvalidDocument
from animus.domain.manifests import MAX_DEPTH, MAX_FILE_BYTES, MAX_FILES, read_manifest
from tests.support.documents import DIGEST_A, DIGEST_B, manifest


def faults_of(value: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidDocument) as refused:
        read_manifest(value)
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


def files(*paths: str) -> Any:
    return manifest(*((path, DIGEST_A, 1) for path in paths))


@given(st.permutations([("a", DIGEST_A, 1), ("b/c", DIGEST_B, 2), ("b/d", DIGEST_A, 1)]))
def test_the_order_of_files_is_not_part_of_the_digest(listed: list[tuple[str, str, int]]) -> None:
    expected = read_manifest(
        manifest(("a", DIGEST_A, 1), ("b/c", DIGEST_B, 2), ("b/d", DIGEST_A, 1))
    )
    read = read_manifest(manifest(*listed))
    assert (read.digest, read.canonical, read.files) == (
        expected.digest, expected.canonical, expected.files,
    )  # fmt: skip


@pytest.mark.parametrize("other", [("b", DIGEST_A, 1), ("a", DIGEST_B, 1), ("a", DIGEST_A, 2)])
def test_path_content_and_size_are_part_of_the_digest(other: tuple[str, str, int]) -> None:
    assert read_manifest(manifest(other)).digest != read_manifest(files("a")).digest


@pytest.mark.parametrize(
    "path",
    ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "a\\b", "a\x00b", "a\nb", "a\x7f",
     "x" * 1_025, "a/" * MAX_DEPTH + "a"],
)  # fmt: skip
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    assert faults_of(files("good", path)) == [("/files/1/path", "unsafe_path")]


@pytest.mark.parametrize("path", ["a b", "é", "..a", "a..", ".hidden", "a/.git", "x" * 1_024])
def test_an_odd_path_that_stays_inside_is_accepted(path: str) -> None:
    assert read_manifest(files(path)).files[0].path == path


def test_a_path_that_is_there_twice_is_refused() -> None:
    assert faults_of(files("a", "b", "a")) == [("/files/2/path", "unsafe_path")]


def test_a_path_that_is_a_file_and_a_directory_is_refused() -> None:
    assert faults_of(files("a/b/c", "a/b")) == [("/files/0/path", "unsafe_path")]


def test_a_manifest_has_at_least_one_file_and_at_most_so_many() -> None:
    assert faults_of({"files": []})[0][0] == "/files"
    read_manifest(files(*(f"f{n}" for n in range(MAX_FILES))))
    assert faults_of(files(*(f"f{n}" for n in range(MAX_FILES + 1))))[0][0] == "/files"


@pytest.mark.parametrize("size", [-1, MAX_FILE_BYTES + 1, 1.5, "1", None, True])
def test_a_size_that_is_none_is_refused(size: Any) -> None:
    assert faults_of({"files": [{"path": "a", "sha256": DIGEST_A, "size": size}]})[0][0] == (
        "/files/0/size"
    )


def test_the_total_is_the_sum_of_sizes() -> None:
    read = read_manifest(manifest(("a", DIGEST_A, 3), ("b", DIGEST_B, 4), ("c", DIGEST_A, 3)))
    assert read.total_bytes == 10


def test_one_content_has_one_size() -> None:
    lying = manifest(("a", DIGEST_A, 3), ("b", DIGEST_B, 3), ("c", DIGEST_A, 4))
    assert faults_of(lying) == [("/files/2/size", "two_sizes")]
