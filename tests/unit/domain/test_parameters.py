"""Parameters: what they may be, and how a step sees them."""

from __future__ import annotations

from typing import Any

import pytest

from animus.domain.canonical import JsonObject
from animus.domain.errors import InvalidDocument
from animus.domain.parameters import (
    MAX_CANONICAL_BYTES,
    MAX_PARAMETERS,
    check_parameters,
    environment,
    leaves,
    variable_name,
)


def pointers_of(parameters: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidDocument) as refused:
        check_parameters(parameters)
    return [fault.pointer for fault in refused.value.faults]


def test_scalars_become_variables_and_the_rest_does_not() -> None:
    parameters = {
        "lr": 0.1, "epochs": 3, "name": "a b", "debug": True, "none": None, "grid": [1], "map": {},
    }  # fmt: skip
    assert environment(parameters) == {
        "ANIMUS_PARAM_DEBUG": "true",
        "ANIMUS_PARAM_EPOCHS": "3",
        "ANIMUS_PARAM_LR": "0.1",
        "ANIMUS_PARAM_NAME": "a b",
    }


@pytest.mark.parametrize(
    ("name", "variable"), [("lr", "LR"), ("max.depth", "MAX_DEPTH"), ("a-b", "A_B"), ("_x", "_X")]
)
def test_a_variable_is_named_after_its_parameter(name: str, variable: str) -> None:
    assert variable_name(name) == f"ANIMUS_PARAM_{variable}"


@pytest.mark.parametrize("name", ["", "1x", "a b", "a/b", "é", "a\n", "x" * 129, "-a"])
def test_a_bad_name_is_refused_at_its_place(name: str) -> None:
    assert pointers_of({"good": 1, name: 1}) == ["/parameters/" + name.replace("/", "~1")]


def test_two_names_that_would_be_one_variable_are_refused() -> None:
    assert pointers_of({"max.depth": 1, "max_depth": 2}) == ["/parameters/max_depth"]


def test_too_many_parameters_are_refused() -> None:
    check_parameters({f"p{n}": n for n in range(MAX_PARAMETERS)})
    assert pointers_of({f"p{n}": n for n in range(MAX_PARAMETERS + 1)}) == ["/parameters"]


def test_too_large_parameters_are_refused() -> None:
    around = len('{"p":""}')
    check_parameters({"p": "x" * (MAX_CANONICAL_BYTES - around)})
    assert pointers_of({"p": "x" * (MAX_CANONICAL_BYTES - around + 1)}) == ["/parameters"]


def test_leaves_are_all_texts_with_their_pointers_and_all_keys_with_their_objects() -> None:
    value: JsonObject = {"a": ["x", {"b/c": "y"}], "n": 1, "z": "w"}
    assert list(leaves(value, "/p")) == [
        ("/p", "a"), ("/p/a/0", "x"), ("/p/a/1", "b/c"), ("/p/a/1/b~1c", "y"),
        ("/p", "n"), ("/p", "z"), ("/p/z", "w"),
    ]  # fmt: skip
