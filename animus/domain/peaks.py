"""The most that steps may need at the same time: the heaviest set of steps of which none waits for
another. Exact, by weighted Dilworth: all weight, less the most that can be matched along the order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import gcd
from typing import TypeAlias

REMEMBERED = 256  # orders with weights; a run's is asked for at each of its phases
Order: TypeAlias = tuple[tuple[int, ...], ...]


def highest_sums(
    after: Sequence[Sequence[int]], weights: Mapping[str, Sequence[int]]
) -> dict[str, int]:
    """By name of the weight. `after` are the positions that each step waits for, all before it."""
    order = tuple(tuple(before) for before in after)
    found = {}
    for name, own in weights.items():
        unit = gcd(*own) or 1  # steps that need as many cores as gigabytes are worked out once
        found[name] = unit * _highest(order, tuple(weight // unit for weight in own))
    return found


@lru_cache(maxsize=REMEMBERED)
def _highest(order: Order, weights: tuple[int, ...]) -> int:
    at_least = _heaviest_level(order, weights)
    if at_least == _lightest_cover(order, weights):
        return at_least  # chains, or waves that wait for each other: most pipelines
    return sum(weights) - _most_matched(_closure(order), weights)


def _heaviest_level(order: Order, weights: Sequence[int]) -> int:
    """No less: steps of one level never wait for each other."""
    levels: list[int] = []
    together: dict[int, int] = {}
    for before, weight in zip(order, weights, strict=True):
        level = 1 + max((levels[position] for position in before), default=-1)
        levels.append(level)
        together[level] = together.get(level, 0) + weight
    return max(together.values())


def _lightest_cover(order: Order, weights: Sequence[int]) -> int:
    """No more: of each chain of steps that wait for each other one runs at a time."""
    chain_of: dict[int, int] = {}  # by the last step of a chain
    heaviest: list[int] = []
    for position, (before, weight) in enumerate(zip(order, weights, strict=True)):
        open_ends = [one for one in before if one in chain_of]
        if not open_ends:
            chain_of[position] = len(heaviest)
            heaviest.append(weight)
            continue
        end = max(open_ends, key=lambda one: heaviest[chain_of[one]])
        chain = chain_of[position] = chain_of.pop(end)
        heaviest[chain] = max(heaviest[chain], weight)
    return sum(heaviest)


def _closure(order: Order) -> list[int]:
    """For each step the set of all that must have ended before it, as a bit mask."""
    masks: list[int] = []
    for before in order:
        mask = 0
        for position in before:
            mask |= masks[position] | 1 << position
        masks.append(mask)
    return masks


def _bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _most_matched(ancestors: Sequence[int], weights: Sequence[int]) -> int:
    """The largest flow from each step's weight to the weights of those that wait for it."""
    left, right = list(weights), list(weights)
    later: list[list[int]] = [[] for _ in weights]
    for position, mask in enumerate(ancestors):
        for before in _bits(mask):
            later[before].append(position)
    flow: list[dict[int, int]] = [{} for _ in weights]  # by the one that waits: from whom, how much
    matched = 0
    for start in range(len(weights)):
        while left[start] and (path := _free_path(start, later, flow, right)):
            matched += _push(path, left, right, flow)
    return matched


def _free_path(
    start: int, later: Sequence[Sequence[int]], flow: Sequence[Mapping[int, int]],
    right: Sequence[int],
) -> list[int]:  # fmt: skip
    """The shortest way to free weight: sources and those that wait, in turns; empty if none is."""
    came_from: dict[int, int] = {}
    reached_by: dict[int, int] = {}
    sources = deque([start])
    seen = {start}
    while sources:
        source = sources.popleft()
        for waiting in later[source]:
            if waiting in reached_by:
                continue
            reached_by[waiting] = source
            if right[waiting]:
                return _walked_back(waiting, reached_by, came_from)
            for other, amount in flow[waiting].items():
                if amount and other not in seen:
                    seen.add(other)
                    came_from[other] = waiting
                    sources.append(other)
    return []


def _walked_back(
    end: int, reached_by: Mapping[int, int], came_from: Mapping[int, int]
) -> list[int]:
    path = [end, reached_by[end]]
    while path[-1] in came_from:
        waiting = came_from[path[-1]]
        path += [waiting, reached_by[waiting]]
    return path[::-1]


def _push(
    path: Sequence[int], left: list[int], right: list[int], flow: Sequence[dict[int, int]]
) -> int:
    """As much as the path takes: along it forward, and back where flow is sent another way."""
    start, end = path[0], path[-1]
    undone = [flow[path[i]][path[i + 1]] for i in range(1, len(path) - 1, 2)]
    amount = min(left[start], right[end], *undone)
    for i in range(0, len(path), 2):
        flow[path[i + 1]][path[i]] = flow[path[i + 1]].get(path[i], 0) + amount
    for i in range(1, len(path) - 1, 2):
        flow[path[i]][path[i + 1]] -= amount
    left[start] -= amount
    right[end] -= amount
    return amount
