"""Two plans compared part by part: what changed, and how much is the same. Pure and bounded."""

from __future__ import annotations

from dataclasses import dataclass

from animus.domain.digests import sha256
from animus.domain.plan_items import Items, Part, PlanContent, items_of

MAX_SHOWN = 200
"""Changes of one part that are listed; `changed` counts all of them."""
MAX_TEXT = 400
_DIGITS = 12


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
    """At most `MAX_SHOWN`, in the order of the plans."""
    changed: int
    same: int


def compare(before: PlanContent, after: PlanContent) -> tuple[PartComparison, ...]:
    """Every part, in reading order, those without a change too."""
    old, new = items_of(before), items_of(after)
    return tuple(_compare_part(part, old[part], new[part]) for part in Part)


def _compare_part(part: Part, old: Items, new: Items) -> PartComparison:
    names = [*old, *(name for name in new if name not in old)]
    changed = [name for name in names if old.get(name) != new.get(name)]
    return PartComparison(
        part=part,
        changes=tuple(
            ItemChange(
                item=_clipped(name), before=_shown(old.get(name)), after=_shown(new.get(name))
            )
            for name in changed[:MAX_SHOWN]
        ),
        changed=len(changed),
        same=len(names) - len(changed),
    )


def _shown(text: str | None) -> str | None:
    return None if text is None else _clipped(text)


def _clipped(text: str) -> str:
    """Long texts by their beginning, and by what tells them from others that begin alike."""
    if len(text) <= MAX_TEXT:
        return text
    digits = sha256(text.encode()).hex()[:_DIGITS]
    return f"{text[:MAX_TEXT]}… ({len(text)} characters, sha256:{digits}…)"
