"""The arithmetic of a preview: waves, worst cases and peaks."""

from __future__ import annotations

from animus.domain.canonical import JsonObject
from animus.domain.previews import Simulation, simulate
from animus.domain.resources import Amounts
from tests.support.documents import short_pipeline
from tests.support.plans import make_body, make_spec


def simulated(**steps: JsonObject) -> Simulation:
    spec = make_spec(classification="development", datasets=[])
    return simulate(make_body(spec=spec, pipeline=short_pipeline(**steps)))


DIAMOND: dict[str, JsonObject] = {
    "a": {"timeout": 10},
    "b": {"after": "a", "timeout": 20, "cpu": 2, "memory": "1Gi"},
    "c": {"after": "a", "timeout": 100, "cpu": 1, "memory": "4Gi", "gpu": 1},
    "d": {"after": ["b", "c"], "timeout": 5, "storage": "9Gi"},
}


def test_steps_that_wait_for_the_same_run_side_by_side() -> None:
    result = simulated(**DIAMOND)
    assert result.order == ("a", "b", "c", "d")
    assert result.waves == (("a",), ("b", "c"), ("d",))
    assert result.widest == 2


def test_the_worst_wall_time_is_that_of_the_slowest_path() -> None:
    assert simulated(**DIAMOND).worst_case_seconds == 10 + 100 + 5


def test_retries_and_their_waits_count_in_the_worst_case() -> None:
    result = simulated(a={"timeout": 100, "attempts": 3}, b={"timeout": 1})
    assert result.worst_case_attempts == 4
    assert result.worst_case_seconds == 3 * 100 + 5 + 10


def test_the_peak_counts_what_runs_side_by_side_across_waves() -> None:
    result = simulated(a={}, b={"after": "a", "cpu": 2}, c={"cpu": 3})
    assert result.peak.millicores == 5000


def test_the_peak_is_the_most_of_each_kind() -> None:
    assert simulated(**DIAMOND).peak == Amounts(
        millicores=3000, memory=5 * 2**30, storage=9 * 2**30, gpus=1
    )


def test_a_step_runs_as_early_as_what_it_waits_for_permits() -> None:
    result = simulated(a={}, b={"after": "a"}, c={"after": "b"}, z={})
    assert result.waves == (("a", "z"), ("b",), ("c",))
