"""The one difference of two plans, part by part: what changed, and how much is the same. Pure.

Reviews, `run diff`, previews, promotion and drift all tell this one, each in its own form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from animus.domain.bounded_texts import bounded
from animus.domain.canonical import JsonObject, canonical_bytes
from animus.domain.digests import digest_of_canonical, format_digest
from animus.domain.environment_locks import EnvironmentLock
from animus.domain.plan_items import DataContent, Items, Part, PlanContent, items_of
from animus.domain.plans import TAG, PlanBody

MAX_SHOWN = 200
"""Changes of one part that are listed where not all are wanted; `changed` counts all of them."""
MAX_TEXT = 400
"""Characters of one text; a longer one is told by its beginning and its digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemChange:
    """Of one item: `before` is None where it is new, `after` where it is gone."""

    item: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartComparison:
    part: Part
    changes: tuple[ItemChange, ...]
    """All, or as many as were wanted, in the order of the plans."""
    added: int
    removed: int
    changed: int
    """All that differ: those that are new or gone too."""
    same: int


def compare(
    before: PlanContent, after: PlanContent, *, most: int | None = MAX_SHOWN
) -> tuple[PartComparison, ...]:
    """Every part, in reading order, those without a change too; of each at most `most` changes.

    What is known of one plan's content only is left out of both: it would look like a change.
    """
    before, after = _known_of_both(before, after)
    old, new = items_of(before), items_of(after)
    if old == new and before.document != after.document:
        for items, content in ((old, before), (new, after)):
            items[Part.EXECUTION][_DIGEST] = _digest(content)
    return tuple(_compare_part(part, old[part], new[part], most) for part in Part)


def tell(parts: Sequence[PartComparison]) -> list[JsonObject]:
    """What differs, as it is kept and sent: `{"part", "item", "before"?, "after"?}` each, and
    `{"part", "more"}` with how many of a part are not among them."""
    return [said for one in parts for said in _tell_part(one)]


_DIGEST = "plan digest"
"""Told where nothing else differs: the same things in another order are another plan."""


def _digest(content: PlanContent) -> str:
    return format_digest(digest_of_canonical(TAG, canonical_bytes(content.document.content())))


def _compare_part(part: Part, old: Items, new: Items, most: int | None) -> PartComparison:
    names = [*old, *(name for name in new if name not in old)]
    if part is Part.DATA:
        names.sort(key=_versions_then_files)
    changed = [name for name in names if old.get(name) != new.get(name)]
    return PartComparison(
        part=part,
        changes=tuple(
            ItemChange(
                item=bounded(name, limit=MAX_TEXT),
                before=_shown(old.get(name)),
                after=_shown(new.get(name)),
            )
            for name in changed[:most]
        ),
        added=sum(name not in old for name in changed),
        removed=sum(name not in new for name in changed),
        changed=len(changed),
        same=len(names) - len(changed),
    )


def _versions_then_files(name: str) -> tuple[bool, str]:
    """Versions as they are bound; files of both sides by their paths."""
    return ("/" in name, name if "/" in name else "")


def _shown(text: str | None) -> str | None:
    return None if text is None else bounded(text, limit=MAX_TEXT)


def _tell_part(one: PartComparison) -> Iterator[JsonObject]:
    for change in one.changes:
        sides = {"before": change.before, "after": change.after}
        known = {side: text for side, text in sides.items() if text is not None}
        yield {"part": str(one.part), "item": change.item, **known}
    if one.changed > len(one.changes):
        yield {"part": str(one.part), "more": one.changed - len(one.changes)}


def _known_of_both(before: PlanContent, after: PlanContent) -> tuple[PlanContent, PlanContent]:
    names = {**before.policies, **after.policies}
    locks, data = _locks_of_both(before, after), _data_of_both(before, after)
    return (
        replace(before, policies=names, lock=locks[0], data=data[0]),
        replace(after, policies=names, lock=locks[1], data=data[1]),
    )


def _locks_of_both(
    before: PlanContent, after: PlanContent
) -> tuple[EnvironmentLock | None, EnvironmentLock | None]:
    old, new = (one.document.body.environment_lock for one in (before, after))
    if old == new:
        known = before.lock or after.lock
        return known, known
    is_known = (old is None or before.lock is not None) and (new is None or after.lock is not None)
    return (before.lock, after.lock) if is_known else (None, None)


def _data_of_both(
    before: PlanContent, after: PlanContent
) -> tuple[Mapping[str, DataContent], Mapping[str, DataContent]]:
    old, new = _bindings(before.document.body), _bindings(after.document.body)
    first, second = dict(before.data), dict(after.data)
    for alias in old.keys() & new.keys():
        one, other = first.pop(alias, None), second.pop(alias, None)
        if old[alias] == new[alias]:
            one = other = one or other
        if one is not None and other is not None:
            first[alias], second[alias] = _alike(one, other)
    return first, second


def _bindings(body: PlanBody) -> Mapping[str, str]:
    return {one.alias: one.digest for one in body.datasets}


def _alike(one: DataContent, other: DataContent) -> tuple[DataContent, DataContent]:
    """With the files of both, or of neither."""
    if one.entries is None or other.entries is None:
        return replace(one, entries=None), replace(other, entries=None)
    return one, other
