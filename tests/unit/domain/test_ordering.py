"""The order of steps: what comes before comes first, and among equals the alphabet decides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from animus.domain.ordering import topological_order

Needs = dict[str, frozenset[str]]


@st.composite
def acyclic(draw: st.DrawFn) -> Needs:
    """Names in random order, each needing some of those before it."""
    names = draw(st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10))
    return {
        name: draw(st.frozensets(st.sampled_from(names[:index]))) if index else frozenset()
        for index, name in enumerate(names)
    }


@given(acyclic())
def test_every_step_comes_after_all_that_it_needs(needs: Needs) -> None:
    order = topological_order(needs)
    assert sorted(order) == sorted(needs)
    assert all(order.index(before) < order.index(name) for name in needs for before in needs[name])


@given(acyclic(), st.randoms(use_true_random=False))
def test_the_order_of_declaration_does_not_show(needs: Needs, shuffler: st.DataObject) -> None:
    declared = list(needs)
    shuffler.shuffle(declared)  # type: ignore[attr-defined]  # a random.Random
    assert topological_order({name: needs[name] for name in declared}) == topological_order(needs)


@given(acyclic())
def test_each_step_is_the_first_by_name_among_those_that_are_ready(needs: Needs) -> None:
    done: set[str] = set()
    for name in topological_order(needs):
        ready = [other for other in needs if other not in done and needs[other] <= done]
        assert name == min(ready)
        done.add(name)
