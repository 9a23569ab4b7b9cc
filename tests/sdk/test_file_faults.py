"""What is wrong in a file that a person wrote: its words, its place, its line with a caret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from animus_sdk.cli.excerpts import Place, excerpt, lines_of
from animus_sdk.cli.failures import FileRefused
from animus_sdk.cli.written_files import FileFault, read_written_file
from animus_sdk.errors import ApiError, Fault


def fault_in(folder: Path, content: bytes, name: str = "bad.yaml") -> FileFault:
    file = folder / name
    file.write_bytes(content)
    with pytest.raises(FileFault) as caught:
        read_written_file(str(file))
    return caught.value


@pytest.mark.parametrize(
    ("content", "said", "shown"),
    [
        (b"a:\n\tb: 1\n", "2:1: a tab can't indent YAML", ["2 | \\x09b: 1", "  | ^"]),
        (b"a: 1\n---\nb: 2\n", "2:1: a second document begins here", ["2 | ---", "  | ^"]),
        (b"a: 1\nb: 2\na: 3\n", "3:1: the key 'a' is there twice, first in line 1", None),
        (b"a: 'x\nb: 1\n", "1:4: the quote that begins here is not closed", ["1 | a: 'x", None]),
        (b"run: a: b\n", "1:7: a ':' makes no key here", None),
        (b"a:\n  b: 1\n c: 2\n", "3:2: the indentation does not fit", None),
        (b"a: [1, 2\nb: 3\n", "2:2: a ',' or the closing ']' is missing", None),
        (b"a: @x\n", "1:4: text that begins with '@' stands in quotes", None),
        (b"a: &base {b: 1}\nc: *bsae\n", "2:4: nothing above is called &bsae.", None),
        (b"a: &base {b: 1}\nc: *bsae\n", "Did you mean '*base'?", None),
        (b"a: &base {b: 1}\nc:\n  <<: *base\n", "3:3: '<<' means nothing here", None),
        (b"a: 1\r\nb: 2\r\na: 3\r\n", "3:1: the key 'a' is there twice", ["3 | a: 3", "  | ^"]),
        (b"\xef\xbb\xbfa: 1\na: 2\n", "2:1: the key 'a' is there twice", ["2 | a: 2", "  | ^"]),
        ("\ufeffa: 1\na: 2\n".encode("utf-16-le"), "2:1: the key 'a' is there twice", None),
        (b"\xef\xbb\xbfa: [\n", "2:1: ", None),
        (b"a: 1\nb: \xff\n", "2:4: this byte is no text in UTF-8", None),
        (b"a: 1\nb: \x07\n", "2:4: the character U+0007 may not stand in YAML", None),
        (b"", "1:1: there is nothing in this file", None),
        (b"- 1\n", "1:1: this is no mapping", ["1 | - 1", "  | ^"]),
    ],
)
def test_what_is_no_yaml_is_told_in_words_with_its_line(
    tmp_path: Path, content: bytes, said: str, shown: list[str | None] | None
) -> None:
    fault = fault_in(tmp_path, content)
    assert said in fault.message
    for line, expected in zip(fault.excerpt(), shown or (), strict=bool(shown)):
        assert expected is None or line == expected


def test_programs_read_the_place_as_members(tmp_path: Path) -> None:
    problem = fault_in(tmp_path, b"a: 1\na: 2\n").problem()
    (found,) = problem["errors"]
    assert (problem["code"], found["line"], found["column"]) == ("usage", 2, 1)
    assert found["file"].endswith("bad.yaml")
    json.dumps(problem)


def test_json_with_tabs_is_json(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text('{\n\t"a": {\n\t\t"b": "1\\t2"\n\t}\n}')
    written = read_written_file(str(file))
    assert written.value == {"a": {"b": "1\t2"}}
    assert written.place_of("/a/b") == Place(line=3, column=3)


def test_a_fault_in_what_an_alias_names_is_where_its_anchor_is(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("base: &base\n  cpu: 1\nother: *base\n")
    assert read_written_file(str(file)).place_of("/other/cpu") == Place(line=2, column=3)


@pytest.mark.parametrize("column", [1, 400, 1_000])
def test_a_very_long_line_is_cut_around_the_place(column: int) -> None:
    line = "".join(chr(ord("a") + n % 26) for n in range(1_000)) + "END"
    shown, caret = excerpt([line], Place(line=1, column=column))
    assert len(shown) < 120
    assert shown[caret.index("^")] == line[column - 1]


def test_a_caret_stands_below_wide_and_escaped_characters() -> None:
    shown, caret = excerpt(["名: \x1b[2J\tx"], Place(line=1, column=9))
    assert shown == "1 | 名: \\x1b[2J\\x09x"
    assert caret == "  | " + " " * (2 + 2 + 7 + 4) + "^"


def test_lines_end_where_yaml_lets_them_end() -> None:
    assert lines_of("a\r\nb\rc\nd\u2028e") == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("key", ["password", "api_key", "AWS_SECRET_ACCESS_KEY", "passwd"])
def test_what_stands_behind_a_private_key_is_not_shown(key: str) -> None:
    shown, _ = excerpt([f"    {key}: hunter2"], Place(line=1, column=5))
    assert shown == f"1 |     {key}: …"


def test_a_line_with_a_suspected_credential_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("env:\n  LEVEL: ghp_abc\n  cpu: many\n")
    cause = ApiError(
        "Refused.",
        code="secret_suspected",
        status=422,
        errors=[
            Fault(pointer="/env/LEVEL", message="Looks like: token.", code="secret_suspected"),
            Fault(pointer="/env/cpu", message="No quantity.", code="invalid_value"),
        ],
    )
    told = list(FileRefused(cause, ("", read_written_file(str(file)))).told())
    assert [len(lines) for lines in told] == [1, 3]
    assert "ghp_abc" not in str(told)
    assert told[1][1] == "  3 |   cpu: many"
