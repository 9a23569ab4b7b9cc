"""Locks: every image of the environment exactly once, one digest whatever the order."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animus.domain.environment_locks import (
    EnvironmentDefinition,
    EnvironmentLock,
    canonical_lock,
    check_lock,
)
from animus.domain.errors import InvalidDocument
from tests.support.documents import DIGEST_A, DIGEST_B, DIGEST_C, REPOSITORY, environment, lock


def image(name: str = "runtime", **changes: Any) -> Any:
    return lock()["images"][0] | {"name": name} | changes


def pointers_of(*images: Any) -> list[str]:
    definition = EnvironmentDefinition.model_validate(environment())
    with pytest.raises(InvalidDocument) as refused:
        check_lock(EnvironmentLock.model_validate(lock(images=list(images))), definition)
    return [fault.pointer for fault in refused.value.faults]


def test_a_lock_resolves_its_environment() -> None:
    definition = EnvironmentDefinition.model_validate(environment())
    check_lock(EnvironmentLock.model_validate(lock()), definition)


def test_an_image_that_the_environment_does_not_name_is_refused() -> None:
    assert pointers_of(image(), image("other")) == ["/lock/images/1/name"]


def test_an_image_from_another_repository_is_refused() -> None:
    assert pointers_of(image(repository="registry.example/evil")) == ["/lock/images/0/repository"]


def test_an_image_that_is_there_twice_is_refused() -> None:
    assert pointers_of(image(), image(manifest_digest=DIGEST_B)) == ["/lock/images"]


def test_an_image_that_is_not_there_is_refused() -> None:
    assert pointers_of(image("other")) == ["/lock/images/0/name", "/lock/images"]


def test_an_image_answers_to_its_manifest_and_to_its_index() -> None:
    read = EnvironmentLock.model_validate(
        lock(images=[image(manifest_digest=DIGEST_A, index_digest=DIGEST_B)])
    )
    found = [read.find_image(digest) for digest in (DIGEST_A, DIGEST_B, DIGEST_C)]
    assert [one and one.name for one in found] == ["runtime", "runtime", None]


@given(st.randoms(use_true_random=False))
def test_the_order_of_declaration_is_not_part_of_a_lock(shuffler: random.Random) -> None:
    images = [image("a"), image("b"), image("c")]
    packages = [
        {"ecosystem": "pypi", "name": name, "version": "1", "hashes": [DIGEST_A, DIGEST_B]}
        for name in ("x", "y", "z")
    ]
    said = lock(images=images, packages=packages)
    expected = canonical_lock(EnvironmentLock.model_validate(said))
    shuffler.shuffle(images)
    shuffler.shuffle(packages)
    for package in packages:
        shuffler.shuffle(package["hashes"])  # type: ignore[arg-type]  # the one list in it
    assert canonical_lock(EnvironmentLock.model_validate(said)) == expected


@pytest.mark.parametrize("repository", [f"{REPOSITORY}@{DIGEST_A}", "", "-x", "UPPER", "a b"])
def test_a_repository_is_written_without_a_digest(repository: str) -> None:
    with pytest.raises(ValueError, match="repository"):
        EnvironmentDefinition.model_validate(
            {"name": "e", "images": [{"name": "i", "repository": repository}]}
        )
