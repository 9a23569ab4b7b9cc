"""Main's log as it is stored: whole lines with their times, safe to print, within a limit."""

from __future__ import annotations

import io
import unicodedata
from dataclasses import dataclass

from animus.adapters.steps.logs import (
    MAX_LINE_BYTES,
    Piece,
    read_json_file,
    read_k8s_file,
    write_log,
)
from animus.adapters.steps.redaction import Redactor
from tests.agent.agents import Bench
from tests.agent.conftest import Images
from tests.agent.platforms import Platform
from tests.agent.steps import python_step
from tests.conftest import RecordCases

TIME = "2026-01-02T03:04:05.678901234+02:00"
SHOWN = "2026-01-02T01:04:05.678Z"
LIMIT = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    raw: bytes
    """Of the engine's file; T stands for the time."""
    stored: str


CASES = [
    Case(name="nothing", raw=b"", stored=""),
    Case(name="a line", raw=b"T stdout F hello\n", stored="T out hello\n"),
    Case(name="an error", raw=b"T stderr F oh\n", stored="T err oh\n"),
    Case(name="an empty line", raw=b"T stdout F \n", stored="T out \n"),
    Case(
        name="parts of one line",
        raw=b"T stdout P one \nT stdout P two \nT stdout F three\n",
        stored="T out one two three\n",
    ),
    Case(name="an unfinished line", raw=b"T stdout P so far\n", stored="T out so far\n"),
    Case(
        name="parts of two streams between each other",
        raw=b"T stdout P a\nT stderr P x\nT stdout F b\nT stderr F y\n",
        stored="T out ab\nT err xy\n",
    ),
    Case(name="a tab", raw=b"T stdout F a\tb\n", stored="T out a\tb\n"),
    Case(name="windows", raw=b"T stdout F line\r\n", stored="T out line\n"),
    Case(name="overwriting", raw=b"T stdout F good\rbad!\n", stored="T out good\\x0dbad!\n"),
    Case(name="NUL", raw=b"T stdout F a\0b\n", stored="T out a\\x00b\n"),
    Case(name="a colour", raw=b"T stdout F \x1b[31mred\n", stored="T out \\x1b[31mred\n"),
    Case(
        name="a link",
        raw=b"T stdout F \x1b]8;;http://evil\x1b\\x\x07\n",
        stored="T out \\x1b]8;;http://evil\\x1b\\x\\x07\n",
    ),
    Case(name="C1", raw="T stdout F a\x9b2Jb\n".encode(), stored="T out a\\x9b2Jb\n"),
    Case(name="a bare C1 byte", raw=b"T stdout F a\x9b2Jb\n", stored="T out a\\x9b2Jb\n"),
    Case(name="no UTF-8", raw=b"T stdout F \xff\xfe\n", stored="T out \\xff\\xfe\n"),
    Case(name="a surrogate", raw=b"T stdout F \xed\xa0\x80\n", stored="T out \\xed\\xa0\\x80\n"),
    Case(name="words", raw="T stdout F Grüße 𝄞 你好\n".encode(), stored="T out Grüße 𝄞 你好\n"),
    Case(
        name="turned round",
        raw="T stdout F a\u202egnp.exe\u2066\n".encode(),
        stored="T out a\\u202egnp.exe\\u2066\n",
    ),
    Case(name="a line end of another kind", raw="T stdout F a\u2028b\n".encode(),
         stored="T out a\\u2028b\n"),
    Case(
        name="a line that pretends to be another's",
        raw=b"T stdout F T stderr F forged\n",
        stored="T out T stderr F forged\n",
    ),
    Case(name="no time", raw=b"soon stdout F x\n", stored="0000-00-00T00:00:00.000Z out x\n"),
    Case(name="a broken file", raw=b"???\n", stored="0000-00-00T00:00:00.000Z out ???\n"),
]  # fmt: skip


def test_each_kind_of_line_is_stored_as_one_that_is_safe(record_cases: RecordCases) -> None:
    told = {case.name: stored(case.raw.replace(b"T std", f"{TIME} std".encode())) for case in CASES}
    at = {case.name: case.stored.replace("T out", f"{SHOWN} out") for case in CASES}
    at = {name: text.replace("T err", f"{SHOWN} err") for name, text in at.items()}
    at["a line that pretends to be another's"] = f"{SHOWN} out {TIME} stderr F forged\n"
    assert told == at
    record_cases("lines of logs", len(CASES))


def test_no_byte_at_all_moves_a_terminal(record_cases: RecordCases) -> None:
    raw = b"".join(TIME.encode() + b" stdout F x" + bytes([n]) + b"y\n" for n in range(256))
    assert_printable(stored(raw))
    points = [p for p in range(0x80, 0x3000) if not 0xD800 <= p < 0xE000]
    raw = "".join(f"{TIME} stdout F x{chr(point)}y\n" for point in points).encode()
    assert_printable(stored(raw))
    record_cases("bytes and characters in logs", 256 + len(points))


def test_of_too_much_head_and_tail_are_kept() -> None:
    pieces = [Piece(SHOWN, "out", f"line {n:06}".encode(), False) for n in range(50_000)]
    sink = io.BytesIO()
    assert write_log(pieces, sink, limit=100_000, redactor=Redactor())
    text = sink.getvalue().decode()
    lines = text.splitlines()
    assert lines[0].endswith("line 000000")
    assert lines[-1].endswith("line 049999")
    (notice,) = [line for line in lines if line.startswith("[animus:")]
    assert notice.startswith(f"[animus: {50_000 - len(lines) + 1} lines (")
    assert len(text) <= 100_000 + len(notice) + 1


def test_a_line_without_an_end_is_broken() -> None:
    part = Piece(SHOWN, "out", b"x" * 8192, True)
    text = stored_pieces([part] * (3 * MAX_LINE_BYTES // 8192))
    assert [len(line) for line in text.splitlines()] == [MAX_LINE_BYTES + len(SHOWN) + 5] * 3


def test_dockers_file_is_read_too() -> None:
    raw = (
        b'{"log":"a ","stream":"stdout","time":"2026-01-02T01:04:05.678901Z"}\n'
        b'{"log":"b\\n","stream":"stdout","time":"2026-01-02T01:04:06.0Z"}\n'
        b"not json\n"
        b'{"log":"e\\u001b\\n","stream":"stderr","time":"2026-01-02T01:04:06.0Z"}\n'
    )
    text = stored_pieces(list(read_json_file(io.BytesIO(raw))))
    assert text == f"{SHOWN} out a b\n2026-01-02T01:04:06.000Z err e\\x1b\n"


HOSTILE = """
import os, sys
os.write(1, b"\\x1b]0;owned\\x07\\x9b2J\\0\\xff" + "\u202e".encode() + b"\\n")
os.write(2, b"to stderr\\n")
os.write(1, b"y" * 20_000 + b"\\n")
os.write(1, b"no end")
"""


async def test_what_main_prints_is_stored_whole_and_safe(
    platform: Platform, bench: Bench, images: Images
) -> None:
    result = await bench.result(await platform.open_attempt(python_step(images.demo, HOSTILE)))
    text = await platform.read_log(result)
    assert_printable(text)
    said = [line.split(" ", 2)[1:] for line in text.splitlines()]
    assert sorted(stream for stream, _ in said) == ["err", "out", "out", "out"]
    assert [words for stream, words in said if stream == "out"] == [
        "\\x1b]0;owned\\x07\\x9b2J\\x00\\xff\\u202e", "y" * 20_000, "no end",
    ]  # fmt: skip
    assert result.log is not None
    assert not result.log.truncated


def stored(raw: bytes) -> str:
    return stored_pieces(list(read_k8s_file(io.BytesIO(raw))))


def stored_pieces(pieces: list[Piece]) -> str:
    sink = io.BytesIO()
    assert not write_log(pieces, sink, limit=64 * LIMIT, redactor=Redactor())
    return sink.getvalue().decode()


def assert_printable(text: str) -> None:
    bad = {c for c in text if unicodedata.category(c) in ("Cc", "Zl", "Zp") and c not in "\t\n"}
    bad |= {c for c in text if unicodedata.bidirectional(c) in (
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")}  # fmt: skip
    assert not bad
