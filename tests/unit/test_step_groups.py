"""Many steps on one screen."""

from __future__ import annotations

from typing import Any

from animus_sdk.cli.step_groups import SHOWN, group_words, step_lines, wave_words


def planned(name: str, *after: str, **changed: Any) -> dict[str, Any]:
    spec = {
        "name": name,
        "resources": {"cpu": "1", "memory": "1Gi", "gpu": 0},
        "timeoutSeconds": 600,
        "egress": [],
        "secrets": [],
    }
    return {"after": list(after), "spec": spec | changed}


def test_few_steps_are_told_by_name_and_many_by_their_number() -> None:
    assert wave_words([["a"], ["b", "c"]]) == "a → b + c"
    many = [["a"], [f"train-{n}" for n in range(180)], ["z"]]
    assert wave_words(many) == "182, in 3 waves, 180 side by side at most"


def test_names_that_differ_in_their_numbers_alone_are_one() -> None:
    names = [*(f"train-{n}" for n in range(1, 181)), "report", "a-1", "a-2"]
    assert group_words(names) == ["180 × train-1 … train-180", "report", "a-1", "a-2"]
    assert group_words(f"fold{n}-of-5" for n in (5, 2, 10, 4)) == ["4 × fold2-of-5 … fold10-of-5"]
    assert group_words([]) == []


def test_steps_that_are_alike_are_one_line_and_what_differs_is_another() -> None:
    trained = [f"train-{n}" for n in range(1, 31)]
    large = {"cpu": "8", "memory": "64Gi", "gpu": 1}
    steps = [
        planned("prepare"),
        *(planned(name, "prepare") for name in trained),
        planned("train-31", "prepare", resources=large),
        planned("train-32", "prepare", egress=[{"host": "pypi.example", "port": 443}]),
        planned("report", *trained, secrets=[{"name": "mail", "secretRef": "a/b"}]),
    ]
    common = "1 CPU, 1Gi memory, 10 min at most"
    assert step_lines(steps) == [
        f"1. prepare: {common}",
        f"2. 30 × train-1 … train-30: {common}, after prepare",
        "2. train-31: 8 CPU, 64Gi memory, 1 GPU, 10 min at most, after prepare",
        f"2. train-32: {common}, network to pypi.example:443, after prepare",
        f"3. report: {common}, secrets mail, after 30 × train-1 … train-30",
    ]
    every = step_lines(steps, every=True)
    assert len(every) == len(steps)
    assert every[7] == f"2. train-7: {common}, after prepare"


def test_chains_side_by_side_are_one_kind() -> None:
    pairs = [(planned(f"split-{n}"), planned(f"train-{n}", f"split-{n}")) for n in range(1, 9)]
    lines = step_lines([step for pair in pairs for step in pair])
    assert [line.split(":")[0] for line in lines] == [
        "1. 8 × split-1 … split-8", "2. 8 × train-1 … train-8",
    ]  # fmt: skip
    assert lines[1].endswith(", after 8 × split-1 … split-8")


def test_steps_of_two_hundred_kinds_are_cut_and_counted() -> None:
    names = [f"{first}{second}" for first in "abcdefghij" for second in "abcdefghijklmnopqrst"]
    steps = [planned(name) for name in names]
    lines = step_lines(steps)
    assert (len(lines), lines[-1]) == (SHOWN + 1, "… and 160 more lines")
    assert len(step_lines(steps, every=True)) == 200
