"""Limits as they are written, what a plan needs of them, and what is too much."""

from __future__ import annotations

import pytest

from animus.domain.canonical import canonical_bytes, decode_strictly
from animus.domain.errors import InvalidDocument
from animus.domain.plan_peaks import peak_of
from animus.domain.quotas import (
    Written,
    find_excess,
    largest_share,
    parse_limits,
    tightest,
)
from tests.support.documents import short_pipeline
from tests.support.plans import make_body, make_spec


def test_limits_are_read_in_base_units() -> None:
    written: Written = {
        "cpu": "1500m", "memory": "2Gi", "ephemeral-storage": "1Gi", "runs": 3,
        "nvidia.com/gpu": 0,
    }  # fmt: skip
    assert parse_limits(written) == {
        "cpu": 1500, "memory": 2 * 2**30, "ephemeral-storage": 2**30, "runs": 3,
        "nvidia.com/gpu": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "written",
    [{"gpu": 1}, {"cpu": "0"}, {"memory": "lots"}, {"runs": -1}, {"runs": "3"}, {"a/b": 2**40}],
)
def test_a_limit_that_says_nothing_is_refused_by_name(written: Written) -> None:
    with pytest.raises(InvalidDocument) as refused:
        parse_limits(written)
    assert [fault.pointer for fault in refused.value.faults] == [f"/limits/{next(iter(written))}"]


def test_a_run_needs_the_most_that_it_may_have_at_once_of_each_device() -> None:
    body = make_body(
        spec=make_spec(classification="development", datasets=[]),
        pipeline=short_pipeline(
            a={"gpu": 1}, b={"gpu": 2, "after": "a"},
            c={"gpu": 1, "gpuResource": "amd.com/gpu", "cpu": 2, "after": "a"},
        ),
    )  # fmt: skip
    peak = peak_of(body)
    assert (peak["cpu"], peak["runs"]) == (3000, 1)
    assert (peak["nvidia.com/gpu"], peak["amd.com/gpu"]) == (2, 1)


def test_what_is_not_asked_for_is_never_too_much() -> None:
    assert find_excess({"cpu": 0, "runs": 1}, used={"cpu": 9}, limits={"cpu": 1, "runs": 1}) is None


def test_too_much_says_how_much() -> None:
    excess = find_excess({"memory": 2**30}, used={"memory": 2**31}, limits={"memory": 2**31})
    assert excess is not None
    assert excess.sentence() == (
        "of 2 GiB memory 2 GiB memory is in use, and it needs 1 GiB memory"
    )


def test_a_share_is_of_what_most_is_used_of() -> None:
    assert largest_share({"cpu": 1, "runs": 3}, {"cpu": 2, "runs": 4}) == 0.75
    assert largest_share({"cpu": 1}, {"runs": 0}) == 0.0


def test_of_two_limits_the_lower_one_counts() -> None:
    assert tightest({"cpu": 2}, {"cpu": 1, "runs": 4}) == {"cpu": 1, "runs": 4}


def test_a_peak_beyond_every_cluster_can_still_be_written_down() -> None:
    much = {"run": "python a.py", "memory": "999999999999999999Ti"}
    spec = make_spec(classification="development", datasets=[])
    peak = peak_of(make_body(spec=spec, pipeline=short_pipeline(a=much, b=much)))
    assert decode_strictly(canonical_bytes(peak)) == peak
    assert find_excess(peak, used={}, limits=parse_limits({"memory": "1024Ti"})) is not None
