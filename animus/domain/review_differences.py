"""What differs from the plan that was approved last, part by part: the heart of a review. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from animus.domain.canonical import JsonObject, canonical_bytes
from animus.domain.differences import differences
from animus.domain.digests import format_digest
from animus.domain.manifests import FileEntry
from animus.domain.review_facts import ApprovedPlan, BoundData, ReviewFacts
from animus.domain.review_words import count_words, moment_words, size_words
from animus.domain.reviews import Item, Listing, Section, bounded, listing, long_listing

MAX_VALUE = 400
"""Characters of one value; a longer one is shown by its beginning and its digest."""

PARTS: Mapping[str, str] = {
    "code": "Code",
    "data": "Data",
    "environment": "Environment",
    "images": "Images",
    "parameters": "Parameters",
    "commands": "Steps and commands",
    "network": "Network",
    "secrets": "Secrets",
    "resources": "Resources, retries and timeouts",
    "execution": "Where it runs",
    "limitations": "What is not proved",
    "policy": "Policies and gates",
    "pipeline": "Pipeline and classification",
}
_OF_BODY = {
    "code": "code",
    "datasets": "data",
    "environment_lock": "environment",
    "placement": "environment",
    "parameters": "parameters",
    "execution": "execution",
    "limitations": "limitations",
}
_OF_STEP = {
    "image": "images",
    "egress": "network",
    "telemetry": "network",
    "secrets": "secrets",
    "resources": "resources",
    "retryPolicy": "resources",
    "timeoutSeconds": "resources",
}


def difference_section(facts: ReviewFacts) -> Section:
    title = "What differs from the plan approved last"
    before = facts.before
    if before is None:
        said = Item(label="first of its kind", value=_FIRST)
        return Section(name="difference", title=title, items=(said,), listings=())
    listings = dict(_listings(before, facts))
    same = [PARTS[part] for part in PARTS if part not in listings]
    items = [
        Item(
            label="approved last",
            value=f"run {before.run}, generation {before.generation}",
            note=f"{moment_words(before.approved_at)}; plan {format_digest(before.plan_digest)}",
        ),
        Item(label="the same", value=", ".join(same) or "nothing"),
        *_where_to_look(before, facts),
    ]
    shown = tuple(one for part in PARTS for one in listings.get(part, ()))
    return Section(name="difference", title=title, items=tuple(items), listings=shown)


_REPEATED = "/verdict/gates"
"""The plan has its gates twice: as the verdict's, and as its own."""
_FIRST = (
    "No plan of this pipeline has been approved in this project before: there is nothing to compare"
    " with, so all of it is new."
)


def _listings(
    before: ApprovedPlan, facts: ReviewFacts
) -> Iterator[tuple[str, tuple[Listing, ...]]]:
    by_part: dict[str, list[Item]] = defaultdict(list)
    for one in differences(before.document, facts.plan.document.content(), limit=None):
        part = _part_of(one["pointer"])
        is_said_elsewhere = one["pointer"].startswith(_REPEATED)
        if part != "data" and not is_said_elsewhere:
            by_part[part].append(_changed(one))
    for part, items in by_part.items():
        yield part, (_listing(part, items),)
    data = tuple(_data_listings(before.data, facts.data))
    if data:
        yield "data", data


def _listing(part: str, items: Sequence[Item]) -> Listing:
    return listing(f"{PARTS[part]}: {count_words(len(items), 'difference')}", items)


def _part_of(pointer: str) -> str:
    words = pointer.split("/")[1:]
    if words[:2] == ["body", "steps"]:
        return _OF_STEP.get(words[4] if len(words) > 4 else "", "commands")
    if words[:1] == ["body"]:
        return _OF_BODY.get(words[1] if len(words) > 1 else "", "pipeline")
    return "policy"


def _changed(one: JsonObject) -> Item:
    return Item(
        label=one["pointer"],
        before=value_words(one["before"]) if "before" in one else None,
        after=value_words(one["after"]) if "after" in one else None,
    )


def value_words(value: Any) -> str:
    """Of a long one the beginning."""
    return bounded(plain_words(value), limit=MAX_VALUE)


def plain_words(value: Any) -> str:
    """A text as it is, everything else as canonical JSON."""
    return value if isinstance(value, str) else canonical_bytes(value).decode()


def _data_listings(
    before: Mapping[str, BoundData], after: Mapping[str, BoundData]
) -> Iterator[Listing]:
    changed = [
        alias for alias in sorted({*before, *after})
        if _digest(before.get(alias)) != _digest(after.get(alias))
    ]  # fmt: skip
    if not changed:
        return
    yield _listing(
        "data",
        [
            Item(label=alias, before=_data(before.get(alias)), after=_data(after.get(alias)))
            for alias in changed
        ],
    )
    for alias in changed:
        old, new = before.get(alias), after.get(alias)
        if old is not None and new is not None:
            yield _files(alias, old, new)


def _digest(data: BoundData | None) -> str | None:
    return data.digest if data is not None else None


def data_words(data: BoundData) -> str:
    return (
        f"{data.dataset} version {data.version}: {count_words(data.files, 'file')},"
        f" {size_words(data.total_bytes)}, {data.digest}"
    )


def _data(data: BoundData | None) -> str | None:
    return data_words(data) if data is not None else None


def _files(alias: str, before: BoundData, after: BoundData) -> Listing:
    if before.entries is None or after.entries is None:
        said = Item(
            label="not compared", value="Too many files to compare here; compare the versions."
        )
        return listing(f"Files of {alias}", [said])
    items, counts = _file_changes(before.entries, after.entries)
    counted = ", ".join(f"{number:,} {kind}" for kind, number in counts.items())
    title = f"Files of {alias}: {count_words(len(items), 'difference')} ({counted})"
    return long_listing(title, items)


def _file_changes(
    before: Sequence[FileEntry], after: Sequence[FileEntry]
) -> tuple[list[JsonObject], dict[str, int]]:
    """Contents of items: there may be ten thousand, of which few are shown."""
    old, new = ({entry.path: _file(entry) for entry in entries} for entries in (before, after))
    items = [
        {"label": path}
        | ({"before": old[path]} if path in old else {})
        | ({"after": new[path]} if path in new else {})
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    ]
    added, removed = len(new.keys() - old.keys()), len(old.keys() - new.keys())
    changed = len(items) - added - removed
    return items, {"added": added, "removed": removed, "changed": changed}


def _file(entry: FileEntry) -> str:
    return f"{size_words(entry.size)}, {entry.sha256}"


def _where_to_look(before: ApprovedPlan, facts: ReviewFacts) -> Iterator[Item]:
    """Both commits, where they differ: which lines changed, the repository knows."""
    old, code = before.document["body"].get("code"), facts.plan.document.body.code
    if old is not None and code is not None and old["commit"] != code.commit:
        command = f"git diff {old['commit']} {code.commit}"
        yield Item(label="lines of code", value=command, note="in the repository, by yourself")
