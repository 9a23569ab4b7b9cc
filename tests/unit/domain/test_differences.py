"""What differs between two plans: by name where things have names, bounded, and complete."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from animus.domain.differences import MAX_DIFFERENCES, differences
from tests.unit.domain.test_canonical import VALUES


def test_a_changed_value_is_told_with_both() -> None:
    assert differences({"a": {"b": 1}}, {"a": {"b": 2}}) == [
        {"pointer": "/a/b", "before": 1, "after": 2}
    ]


def test_what_was_added_and_what_is_gone_has_one_side_only() -> None:
    assert differences({"a": 1}, {"b": None}) == [
        {"pointer": "/a", "before": 1}, {"pointer": "/b", "after": None},
    ]  # fmt: skip


def test_steps_are_compared_by_name_and_not_by_position() -> None:
    before = [{"spec": {"name": "a", "x": 1}}, {"spec": {"name": "b", "x": 1}}]
    after = [{"spec": {"name": "b", "x": 2}}, {"spec": {"name": "a", "x": 1}}]
    assert differences(before, after) == [{"pointer": "/b/spec/x", "before": 1, "after": 2}]


def test_datasets_are_compared_by_alias() -> None:
    before = [{"alias": "a", "digest": "1"}, {"alias": "b", "digest": "1"}]
    after = [{"alias": "b", "digest": "1"}]
    assert differences(before, after) == [{"pointer": "/a", "before": before[0]}]


def test_a_type_is_a_difference() -> None:
    assert differences({"a": 1}, {"a": True}) == [{"pointer": "/a", "before": 1, "after": True}]


def test_a_list_is_not_a_map() -> None:
    assert differences({"a": []}, {"a": {}}) == [{"pointer": "/a", "before": [], "after": {}}]


def test_one_number_written_in_two_ways_is_no_difference() -> None:
    assert differences({"a": {"b": 2, "c": 1}}, {"a": {"b": 2.0, "c": 1}}) == []


def test_keys_in_pointers_are_escaped() -> None:
    assert differences({"a/b": {"~": 1}}, {"a/b": {"~": 2}})[0]["pointer"] == "/a~1b/~0"


def test_there_is_an_end_to_it() -> None:
    found = differences({}, {f"k{n}": n for n in range(MAX_DIFFERENCES + 5)})
    assert len(found) == MAX_DIFFERENCES + 1
    assert found[-1] == {"pointer": "", "more": True}


@given(VALUES)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert differences(value, value) == []


@given(st.dictionaries(st.text(max_size=3), VALUES), st.dictionaries(st.text(max_size=3), VALUES))
def test_unequal_documents_differ_somewhere(before: Any, after: Any) -> None:
    if before != after:
        assert differences(before, after)
