"""Many steps on one screen: those that are alike are one line, with how many they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from animus_sdk.cli.wording import count_words, duration_words

FEW = 12
"""Steps of which each is told by its name."""
SHOWN = 40
"""Lines at most; `--all` has the rest."""
_ALONE = 3
"""So many of a kind are told one by one."""
_NUMBER = re.compile(r"[0-9]+")

PlannedStep = Mapping[str, Any]
"""As the plan's body has it."""


def wave_words(waves: Sequence[Sequence[str]]) -> str:
    """Of few steps every name, in the order in which they may run; of many how many they are."""
    count = sum(len(wave) for wave in waves)
    if count <= FEW:
        return " → ".join(" + ".join(wave) for wave in waves)
    widest = max(len(wave) for wave in waves)
    return f"{count}, in {count_words(len(waves), 'wave')}, {widest} side by side at most"


def group_words(names: Iterable[str]) -> list[str]:
    """Names that differ in their numbers alone are one: `180 × train-001 … train-180`."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(_stem(name), []).append(name)
    return [words for alike in kinds.values() for words in _group(alike)]


def step_lines(steps: Sequence[PlannedStep], *, every: bool = False) -> list[str]:
    """A line for each kind of step in each wave; with `every` for each step."""
    lines = [
        f"{number}. {words}"
        for number, wave in enumerate(_waves(steps), start=1)
        for words in _wave(wave, every=every)
    ]
    hidden = 0 if every else len(lines) - SHOWN
    return lines if hidden <= 0 else [*lines[:SHOWN], f"… and {count_words(hidden, 'more line')}"]


def _waves(steps: Sequence[PlannedStep]) -> list[list[PlannedStep]]:
    """Steps that may run side by side, if each wave waits for the one before. A plan has every
    step after those that it waits for."""
    depths: dict[str, int] = {}
    waves: list[list[PlannedStep]] = []
    for step in steps:
        depth = 1 + max((depths[before] for before in step["after"]), default=-1)
        depths[step["spec"]["name"]] = depth
        if depth == len(waves):
            waves.append([])
        waves[depth].append(step)
    return waves


def _group(names: list[str]) -> list[str]:
    if len(names) <= _ALONE:
        return names
    ordered = sorted(names, key=_numbers)
    return [f"{len(names)} × {ordered[0]} … {ordered[-1]}"]


def _numbers(name: str) -> list[int]:
    return [int(number) for number in _NUMBER.findall(name)]


def _stem(name: str) -> str:
    return _NUMBER.sub("#", name)


def _wave(steps: Sequence[PlannedStep], *, every: bool) -> Iterator[str]:
    kinds: dict[tuple[str, ...], list[PlannedStep]] = {}
    for step in steps:
        name = step["spec"]["name"]
        waits_for = sorted({_stem(before) for before in step["after"]})
        own = (name,) if every else (_stem(name),)
        kinds.setdefault((*own, _taken(step), *waits_for), []).append(step)
    for (_, taken, *_), alike in kinds.items():
        before = group_words(dict.fromkeys(name for step in alike for name in step["after"]))
        after = f", after {', '.join(before)}" if before else ""
        for words in group_words(step["spec"]["name"] for step in alike):
            yield f"{words}: {taken}{after}"


def _taken(step: PlannedStep) -> str:
    """What a step takes and where it may reach: steps that differ there are two lines."""
    spec = step["spec"]
    resources = spec["resources"]
    said = [f"{resources['cpu']} CPU, {resources['memory']} memory"]
    if resources["gpu"]:
        said.append(count_words(resources["gpu"], "GPU"))
    said.append(f"{duration_words(spec['timeoutSeconds'])} at most")
    if spec["egress"]:
        reached = ", ".join(f"{rule['host']}:{rule['port']}" for rule in spec["egress"])
        said.append(f"network to {reached}")
    if spec["secrets"]:
        said.append(f"secrets {', '.join(one['name'] for one in spec['secrets'])}")
    return ", ".join(said)
