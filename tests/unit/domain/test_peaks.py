"""The most that steps need side by side, against trying every set of steps."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from animus.domain.peaks import highest_sums


@st.composite
def orders(draw: st.DrawFn) -> tuple[list[list[int]], list[int]]:
    size = draw(st.integers(1, 8))
    after = [
        draw(st.lists(st.integers(0, i - 1), unique=True, max_size=3)) if i else []
        for i in range(size)
    ]
    weights = draw(st.lists(st.integers(0, 5), min_size=size, max_size=size))
    return after, weights


@given(orders())
def test_it_is_the_heaviest_set_of_which_none_waits_for_another(
    order: tuple[list[list[int]], list[int]],
) -> None:
    after, weights = order
    assert highest_sums(after, {"any": weights}) == {"any": _by_trying(after, weights)}


def test_steps_of_different_waves_may_run_side_by_side() -> None:
    assert highest_sums([[], [0], []], {"cpu": [1, 2, 3]}) == {"cpu": 5}


def test_each_kind_has_its_own_heaviest_set() -> None:
    found = highest_sums([[], [0]], {"cpu": [4, 1], "gpu": [0, 2]})
    assert found == {"cpu": 4, "gpu": 2}


def _by_trying(after: list[list[int]], weights: list[int]) -> int:
    before: list[set[int]] = []
    for direct in after:
        before.append(set(direct).union(*(before[one] for one in direct)))
    positions = range(len(after))
    sets = (chosen for n in positions for chosen in combinations(positions, n + 1))
    return max(
        sum(weights[one] for one in chosen)
        for chosen in sets
        if not any(a in before[b] for a, b in combinations(chosen, 2))
    )
