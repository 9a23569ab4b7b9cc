"""Text of others reaches a terminal only as text."""

from __future__ import annotations

import io
import json

import pytest
from animus_sdk.cli.previews import code_span
from animus_sdk.cli.screens import Screen, json_text
from animus_sdk.printable import printable
from rich.console import Console

HOSTILE = {
    "colour": "\x1b[31mred",
    "cursor home": "\x1b[2J\x1b[H",
    "title": "\x1b]0;owned\x07",
    "link (OSC 8)": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clipboard (OSC 52)": "\x1b]52;c;ZXZpbA==\x07",
    "C1 control sequence introducer": "\x9b31mred",
    "C1 operating system command": "\x9d0;owned\x9c",
    "carriage return": "rm -rf /\rls      ",
    "backspace": "safe\b\b\b\bevil",
    "delete": "a\x7fb",
    "bell": "\x07",
    "NUL": "a\x00b",
    "shift out": "\x0eabc",
    "right-to-left override": "invoice\u202efdp.exe",
    "isolates": "a\u2066b\u2069c",
    "zero width": "pay\u200bpal",
    "byte order mark": "\ufeffa",
    "tag characters": "a\U000e0041b",
    "line separator": "a\u2028b\u2029c",
    "lone surrogate": "a\udc80b",
    "blanks that are no space": "a\u00a0b\u3000c\u2003d",
    "unassigned and not drawn": "a\u2065b\ufff0c\U000e0000d\U000e0080e",
    "private use": "a\ue000b\U0010fffdc",
    "rich markup": "[red]not red[/red]",
    "rich link": "[link=http://evil.example]x[/link]",
    "emoji code": ":smiley:",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_control_or_format_character_survives(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert not set(shown) & set("\x1b\x9b\x9d\x07\r\b\x7f\x00\u202e\u2066\u200b\u2028")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_every_renderer_cleans(text: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out=out, err=err)
    screen.line(text)
    screen.raw(text)
    screen.table([text], [[text]])
    screen.pairs([(text, text)])
    screen.note(text)
    screen.error(text, [text])
    screen.json({text: text})
    screen.problem({"detail": text})
    written = out.getvalue() + err.getvalue()
    assert all(char == "\n" or char.isprintable() for char in written)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_json_is_ascii_and_still_says_the_same(text: str) -> None:
    document = json_text({"name": text})
    assert document.isascii()
    assert all(char == "\n" or char.isprintable() for char in document)
    assert json.loads(document) == {"name": text}


def test_markup_of_others_stays_text_on_a_terminal() -> None:
    screen = Screen(out=io.StringIO(), err=io.StringIO())
    terminal = io.StringIO()
    screen.stdout = Console(file=terminal, force_terminal=True, width=80, markup=False)
    screen.line("[bold red]boo[/bold red] [link=http://evil.example]x[/link]")
    assert "[bold red]boo[/bold red] [link=http://evil.example]x[/link]" in terminal.getvalue()


def test_a_log_keeps_its_lines_and_tabs() -> None:
    assert printable("a\tb\r\nc\x1b[0m\n", lines=True) == "a\tb\nc\\x1b[0m\n"


def test_text_of_all_the_world_stays_as_it_is() -> None:
    text = "Größe 数据 données שלום ½ 🚀 donne\u0301es हिन्दी ภาษาไทย"
    assert printable(text) == text


def test_marks_do_not_pile_up_on_a_letter() -> None:
    assert printable("a" + "\u0335" * 6 + "b") == "a" + "\u0335" * 4 + "\\u0335\\u0335b"


@pytest.mark.parametrize("before", ["", " ", "\n", "\u200b"])
def test_a_mark_without_a_letter_is_not_drawn_on_what_stands_before_it(before: str) -> None:
    shown = printable(f"{before}\u0335", lines=True)
    assert shown.endswith("\\u0335")
    assert "\u0335" not in shown


@pytest.mark.parametrize("text", ["plain", "a`b", "``", "a|b", "`", "x```y", "<b>", "a\nb"])
def test_a_code_span_holds_whatever_is_in_it(text: str) -> None:
    span = code_span(text)
    fence = span[: len(span) - len(span.lstrip("`"))]
    inner = span[len(fence) : -len(fence)]
    assert span.endswith(fence)
    assert "\n" not in span
    assert fence not in inner.strip() or not inner.strip("` ")
    assert "|" not in inner.replace("\\|", "")
