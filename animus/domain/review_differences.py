"""What differs from the plan that was approved last: the heart of a review, in its words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from animus.domain.canonical import JsonObject
from animus.domain.comparisons import ItemChange, PartComparison, compare
from animus.domain.digests import format_digest
from animus.domain.plan_items import Part, PlanContent
from animus.domain.review_facts import ApprovedPlan, ReviewFacts
from animus.domain.review_words import moment_words
from animus.domain.reviews import Item, Listing, Section, long_listing

PARTS: Mapping[Part, str] = {
    Part.CODE: "Code",
    Part.DATA: "Data",
    Part.ENVIRONMENT: "Environment and packages",
    Part.PARAMETERS: "Parameters",
    Part.STEPS: "Steps, images and commands",
    Part.NETWORK: "Network",
    Part.SECRETS: "Secrets",
    Part.RESOURCES: "Resources, retries and timeouts",
    Part.EXECUTION: "Pipeline, and where it runs",
    Part.POLICY: "Policies and gates",
    Part.LIMITATIONS: "What is not proved",
}


def difference_section(facts: ReviewFacts) -> Section:
    title = "What differs from the plan approved last"
    before = facts.before
    if before is None:
        said = Item(label="first of its kind", value=_FIRST)
        return Section(name="difference", title=title, items=(said,), listings=())
    parts = compare(before.content, facts.content, most=None)
    items = [
        Item(
            label="approved last",
            value=f"run {before.run}, generation {before.generation}",
            note=f"{moment_words(before.approved_at)}; plan {format_digest(before.plan_digest)}",
        ),
        _same(parts),
        *_where_to_look(before, facts),
        *_not_compared(before.content, facts.content),
    ]
    listings = tuple(_listing(one) for one in parts if one.changed)
    return Section(name="difference", title=title, items=tuple(items), listings=listings)


_FIRST = (
    "No plan of this pipeline has been approved in this project before: there is nothing to compare"
    " with, so all of it is new."
)


def _same(parts: Sequence[PartComparison]) -> Item:
    same = sum(one.same for one in parts)
    total = same + sum(one.changed for one in parts)
    whole = "; ".join(PARTS[one.part] for one in parts if not one.changed)
    return Item(
        label="the same",
        value=f"{same:,} of {total:,} items",
        note=f"Nothing differs in: {whole}." if whole else None,
    )


def _listing(one: PartComparison) -> Listing:
    return long_listing(f"{PARTS[one.part]}: {_counts(one)}", [_item(c) for c in one.changes])


def _counts(one: PartComparison) -> str:
    counted = {
        "changed": one.changed - one.added - one.removed,
        "added": one.added,
        "removed": one.removed,
        "the same": one.same,
    }
    return ", ".join(f"{number:,} {kind}" for kind, number in counted.items() if number)


def _item(change: ItemChange) -> JsonObject:
    """The content of one: there may be ten thousand, of which few are shown."""
    sides = {"before": change.before, "after": change.after}
    return {"label": change.item} | {name: said for name, said in sides.items() if said is not None}


def _where_to_look(before: ApprovedPlan, facts: ReviewFacts) -> Iterator[Item]:
    """Both commits, where they differ: which lines changed, the repository knows."""
    old, new = (one.document.body.code for one in (before.content, facts.content))
    if old is not None and new is not None and old.commit != new.commit:
        command = f"git diff {old.commit} {new.commit}"
        yield Item(label="lines of code", value=command, note="in the repository, by yourself")


def _not_compared(before: PlanContent, after: PlanContent) -> Iterator[Item]:
    """Of another version whose files are not compared, that they are not."""
    old, new = (
        {one.alias: one.digest for one in c.document.body.datasets} for c in (before, after)
    )
    for alias in sorted(old.keys() & new.keys()):
        sides = (before.data.get(alias), after.data.get(alias))
        if old[alias] != new[alias] and any(one is None or one.entries is None for one in sides):
            yield Item(label=f"files of {alias}", value=_NOT_COMPARED)


_NOT_COMPARED = (
    "not compared: there are too many, or those of one version are not known here. Compare the"
    " versions by yourself."
)
