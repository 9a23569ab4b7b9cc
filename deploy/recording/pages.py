"""The page: what was played, as text, with times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deploy.recording.scripts import SCENES, Line, Scene
from deploy.recording.terminals import PROMPT, Shown

_HEAD = """\
# The first five minutes

Two people on a stack as `make demo` starts it, each at a terminal. `make recording` plays this in
tmux and writes this page: what stands after a `$` was typed, and what follows is what the terminal
showed. Seconds are from Enter to the next prompt, on the machine of the recording.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    line: Line
    shown: Shown


def write_page(scenes: Sequence[tuple[Scene, Sequence[Played]]]) -> str:
    return "\n".join(part for scene, played in scenes for part in _scene(scene, played)).join(
        (_HEAD + "\n", "\n")
    )


def typed_lines(page: str) -> list[str]:
    """What a page says was typed."""
    return re.findall(rf"^{re.escape(PROMPT)} (.*)$", page, re.MULTILINE)


def script_patterns() -> list[str]:
    """What the script would have typed, as regular expressions: names are known only then."""
    typed = (line.typed for scene in SCENES for line in scene.lines)
    return [re.sub(r"\\\{[a-z]+\\\}", r"\\S+", re.escape(text)) for text in typed]


def _scene(scene: Scene, played: Sequence[Played]) -> Iterator[str]:
    seconds = sum(one.shown.seconds for one in played)
    yield f"## {scene.title}\n"
    typed = "1 line" if len(played) == 1 else f"{len(played)} lines"
    yield f"{typed} typed, {seconds:.0f} s of waiting in all.\n"
    for one in played:
        if one.line.why:
            yield f"{one.line.why}\n"
        ended = f", code {one.shown.code}" if one.shown.code else ""
        yield f"```console\n{_text(one)}\n```\n\n{one.shown.seconds:.1f} s{ended}\n"


def _text(one: Played) -> str:
    """Of a last screen the line that was typed is out of sight."""
    if one.line.is_last_screen:
        return f"{PROMPT} {one.shown.typed}\n…\n{one.shown.text}"
    return one.shown.text
