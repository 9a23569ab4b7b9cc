"""Quantities as Kubernetes writes them."""

from __future__ import annotations

import pytest

from animus.domain.errors import Invalid
from animus.domain.resources import Amounts, parse_bytes, parse_cpu


@pytest.mark.parametrize(
    ("text", "millicores"), [("1", 1000), ("0.5", 500), ("500m", 500), ("0.001", 1), ("64", 64000)]
)
def test_cpu_is_counted_in_thousandths(text: str, millicores: int) -> None:
    assert parse_cpu(text) == millicores


@pytest.mark.parametrize("text", ["", "0", "0.000", "-1", "0m", "1.2345", "1e3", "1 ", "m", "½"])
def test_cpu_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_cpu(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("1k", 1000), ("1Ki", 1024), ("512Mi", 512 * 2**20), ("2G", 2 * 10**9),
     ("3Gi", 3 * 2**30), ("1Ti", 2**40)],
)  # fmt: skip
def test_sizes_are_counted_in_bytes(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1Gi", "1.5Gi", "1 Gi", "1GB", "1gi", "1Kii", "Mi"])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_bytes(text)


def test_amounts_add_up_kind_by_kind() -> None:
    total = Amounts(millicores=1, storage=2) + Amounts(millicores=3, gpus=4)
    assert total == Amounts(millicores=4, storage=2, gpus=4)
