"""The difference between two plans in words, and as Markdown for a merge request."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.text import Text

from animus_sdk.cli.previews import code_span
from animus_sdk.cli.screens import Screen, styled
from animus_sdk.cli.wording import count_words
from animus_sdk.wire.views import ComparedPlan, ItemChange, PartComparison, PlanComparison

SHOWN = 20
"""Changes of one part; the answer with --json has more of them."""


def show_difference(screen: Screen, found: PlanComparison) -> None:
    screen.line(styled(_headline(found), "bold"))
    for part in _changed(found):
        screen.line(f"{part['part']}: {_counts(part)}")
        for change in part["changes"][:SHOWN]:
            screen.line(*_change(change), indent=2)
        if part["changed"] > SHOWN:
            screen.line(f"… and {part['changed'] - SHOWN} more", indent=2)


def show_files(screen: Screen, files: list[dict[str, str]]) -> None:
    """What git says here of the two commits."""
    screen.line(f"files of the commits: {len(files)} changed")
    for file in files[:SHOWN]:
        screen.line(f"{file['change']} {file['path']}", indent=2)
    if len(files) > SHOWN:
        screen.line(f"… and {len(files) - SHOWN} more", indent=2)


def markdown_difference(found: PlanComparison) -> str:
    """As `markdown` of previews: texts of others stand in code spans."""
    lines = ["", f"**{_headline(found, code_span)}**"]
    for part in _changed(found):
        lines += ["", f"{part['part']}: {_counts(part)}", ""]
        lines += [f"- {_span(change)}" for change in part["changes"][:SHOWN]]
        if part["changed"] > SHOWN:
            lines.append(f"- … and {part['changed'] - SHOWN} more")
    return "\n".join(lines) + "\n"


def compared_words(plan: ComparedPlan) -> str:
    return plan["run"] or plan["plan_digest"]


def _headline(found: PlanComparison, quote: Callable[[str], str] = str) -> str:
    before = found["before"]
    if before is None:
        return "The first of its kind: no run of this pipeline and class was let run before."
    name = quote(compared_words(before))
    if found["changed"] == 0:
        return f"Nothing differs from {name}."
    changed = count_words(found["changed"], "change")
    return f"{changed} since {name}, {found['same']} the same"


def _changed(found: PlanComparison) -> Iterator[PartComparison]:
    return (part for part in found["parts"] if part["changed"])


def _counts(part: PartComparison) -> str:
    return f"{part['changed']} changed, {part['same']} the same"


def _change(change: ItemChange) -> tuple[str | Text, ...]:
    before, after = change["before"], change["after"]
    if before is None:
        return styled("+ ", "green"), f"{change['item']}: {after}"
    if after is None:
        return styled("- ", "red"), f"{change['item']}: {before}"
    return styled("~ ", "yellow"), f"{change['item']}: {before} → {after}"


def _span(change: ItemChange) -> str:
    before, after = change["before"], change["after"]
    item = code_span(change["item"])
    if before is None:
        return f"new {item}: {code_span(after or '')}"
    if after is None:
        return f"gone {item}: {code_span(before)}"
    return f"{item}: {code_span(before)} → {code_span(after)}"
