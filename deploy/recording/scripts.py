"""What two people type in their first five minutes. The page has these lines and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ENGINEER, REVIEWER = "engineer", "reviewer"
PROJECT = "churn"
WAITS_FOR_APPROVAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line typed at a prompt. `{image}` and the like are filled in when it is played."""

    typed: str
    why: str = ""
    """Said before it on the page."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """What to type when the screen asks this."""
    code: int = 0
    is_last_screen: bool = False
    """The page has had what it shows, and takes what is left on the screen at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    person: str
    title: str
    lines: tuple[Line, ...]


_SIGN_IN = (
    Line(
        typed="animus login --gateway {gateway}",
        why="The token that the administrator gave is pasted; it is not shown.",
        answers={"Token for": "{token}"},
    ),
    Line(typed=f"animus project use {PROJECT}"),
)

SCENES = (
    Scene(
        person=ENGINEER,
        title="The engineer: a folder with a script and a CSV, and two runs",
        lines=(
            Line(typed="cat train.py", why="A new folder, as it is on the first day: no YAML."),
            Line(typed="head -3 data/churn.csv"),
            Line(typed="git init -q && git add train.py && git commit -qm 'Churn model'"),
            *_SIGN_IN,
            Line(
                typed="animus run submit --image {image} --data churn=data/churn.csv --out model"
                " -p lr=0.1 -- python3 train.py",
                why="The first run. What was found out is told, a line each; Ctrl+C would leave it"
                " running.",
            ),
            Line(typed="animus run logs @last"),
            Line(
                typed="animus run submit @last -p lr=0.01 --wait-for end",
                why="Again, with another rate. Nothing is uploaded.",
            ),
            Line(typed="animus run logs @last"),
            Line(
                typed="animus run diff {first} @last",
                why="What is different between the two, and how much is the same.",
            ),
            Line(
                typed="animus run promote @last --reason 'the better of two rates' --ticket ML-7"
                " --wait-for approval",
                why="The second is the better one: the same content for production. Somebody else"
                " must say yes, so this ends with code 3.",
                code=WAITS_FOR_APPROVAL,
            ),
        ),
    ),
    Scene(
        person=REVIEWER,
        title="The reviewer: what waits, and what it is about",
        lines=(
            *_SIGN_IN,
            Line(typed="animus approvals"),
            Line(
                typed="animus approvals show {promoted}",
                why="The document that is decided on, in the order in which one reads it.",
            ),
            Line(
                typed="animus approvals ask {promoted} 'Is the smaller rate stable, or luck?'",
                why="A question back, before deciding. It changes nothing of what is signed.",
            ),
        ),
    ),
    Scene(
        person=ENGINEER,
        title="The engineer: an answer",
        lines=(
            Line(
                typed="animus run answer {promoted} 'Five folds, all within 0.01 of each other.'",
                why="Whoever watches the run sees the question at once.",
            ),
        ),
    ),
    Scene(
        person=REVIEWER,
        title="The reviewer: a decision",
        lines=(
            Line(
                typed="animus approve {promoted}",
                why="It is shown again, so that what is signed was seen. Of this screen the end:",
                answers={
                    "[y/N]": "y",
                    "Reason:": "one rate, and a development run of it",
                },
                is_last_screen=True,
            ),
            Line(typed="animus approvals --decided --mine"),
        ),
    ),
    Scene(
        person=ENGINEER,
        title="The engineer again: the approved run",
        lines=(
            Line(typed="animus run watch {promoted}"),
            Line(typed="animus run artifacts {promoted}"),
        ),
    ),
)
