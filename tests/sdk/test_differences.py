"""A difference on a screen and in a merge request: exact counts, nothing obeyed."""

from __future__ import annotations

import io

from animus_sdk.cli.differences import SHOWN, markdown_difference, show_difference, show_files
from animus_sdk.cli.screens import Screen
from animus_sdk.wire.views import ItemChange, PlanComparison

HOSTILE = "`|<img src=x>\x1b[31m\u202e"


def comparison(*changes: ItemChange, changed: int | None = None) -> PlanComparison:
    count = len(changes) if changed is None else changed
    return PlanComparison(
        before={"plan_digest": "sha256:1", "run_id": "1", "run": "amber-otter"},
        after={"plan_digest": "sha256:2", "run_id": None, "run": None},
        parts=[
            {"part": "parameters", "changes": list(changes), "changed": count, "same": 3},
            {"part": "network", "changes": [], "changed": 0, "same": 2},
        ],
        changed=count,
        same=5,
    )


def shown(found: PlanComparison) -> list[str]:
    out = io.StringIO()
    show_difference(Screen(out=out, err=io.StringIO()), found)
    return out.getvalue().splitlines()


def test_each_change_is_a_line_below_its_part() -> None:
    assert shown(
        comparison(
            {"item": "lr", "before": "0.1", "after": "0.03"},
            {"item": "seed", "before": None, "after": "7"},
            {"item": "old", "before": "1", "after": None},
        )
    ) == [
        "3 changes since amber-otter, 5 the same",
        "parameters: 3 changed, 3 the same",
        "  ~ lr: 0.1 → 0.03",
        "  + seed: 7",
        "  - old: 1",
    ]


def test_what_is_not_shown_is_counted() -> None:
    many: list[ItemChange] = [
        {"item": f"p{number}", "before": None, "after": "1"} for number in range(SHOWN + 5)
    ]
    lines = shown(comparison(*many, changed=10_000))
    assert lines[-1] == f"  … and {10_000 - SHOWN} more"
    assert len(lines) == SHOWN + 3
    assert f"- … and {10_000 - SHOWN} more" in markdown_difference(
        comparison(*many, changed=10_000)
    )


def test_equal_plans_and_the_first_of_a_kind_are_said_in_a_sentence() -> None:
    assert shown(comparison()) == ["Nothing differs from amber-otter."]
    first = comparison()
    first["before"] = None
    assert shown(first) == [
        "The first of its kind: no run of this pipeline and class was let run before."
    ]
    assert "**Nothing differs from `amber-otter`.**" in markdown_difference(comparison())


def test_texts_of_others_are_neither_markup_nor_obeyed() -> None:
    change: ItemChange = {"item": HOSTILE, "before": HOSTILE, "after": HOSTILE}
    found = comparison(change)
    assert found["before"] is not None
    found["before"]["run"] = HOSTILE
    text = markdown_difference(found)
    assert not set(text) & set("\x1b\u202e")
    (line,) = [line for line in text.splitlines() if line.startswith("- ")]
    assert line.count("`` `\\|<img src=x>\\x1b[31m\\u202e ``") == 3
    assert not set("".join(shown(found))) & set("\x1b\u202e")


def test_files_of_others_are_names_and_nothing_else() -> None:
    out = io.StringIO()
    show_files(Screen(out=out, err=io.StringIO()), [{"path": "a\x1b[31m\nb", "change": "new"}])
    assert out.getvalue().splitlines() == [
        "files of the commits: 1 changed", "  new a\\x1b[31m\\x0ab",
    ]  # fmt: skip
