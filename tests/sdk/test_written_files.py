"""Files that people write, as values with places; and locks made of requirements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from animus_sdk import FileUnfit, SettingsUnfit
from animus_sdk.cli.lock_documents import definition_document, lock_document, read_requirements
from animus_sdk.cli.written_files import parse_value, read_written_file

SHA = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1), ("-3", -3), ("0777", 777), ("0o17", 15), ("0xff", 255), ("1.5", 1.5), (".5", 0.5),
        ("1e3", 1000.0), ("true", True), ("no", "no"), ("on", "on"), ("2024-01-01", "2024-01-01"),
        ("null", None), ("~", None), ("", None), ("'1'", "1"), ('"true"', "true"),
        ("1_000", "1_000"), ("12:30", "12:30"), (".nan", ".nan"), ("[1, a]", [1, "a"]),
        ("{b: 1}", {"b": 1}),
    ],
)  # fmt: skip
def test_plain_values_are_those_of_yaml_1_2(tmp_path: Path, written: str, value: Any) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(f"a: {written}\n")
    assert read_written_file(str(file)).value == {"a": value}


def test_everything_has_a_place_and_what_has_none_takes_that_around_it(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("a:\n  b/c~: [1,\n    {d: 2}]\n")
    written = read_written_file(str(file))
    places = {
        pointer: (written.place_of(pointer).line, written.place_of(pointer).column)
        for pointer in ("", "/a", "/a/b~1c~0", "/a/b~1c~0/1/d", "/a/absent/deep", "/elsewhere")
    }
    assert places == {
        "": (1, 1), "/a": (1, 1), "/a/b~1c~0": (2, 3), "/a/b~1c~0/1/d": (3, 6),
        "/a/absent/deep": (1, 1), "/elsewhere": (1, 1),
    }  # fmt: skip


def test_json_is_read_as_json(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text('{"a": [1.0, null, "\\u00e4", true]}')
    assert read_written_file(str(file)).value == {"a": [1.0, None, "ä", True]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1), ("1.0", 1.0), ("true", True), ('"1"', "1"), ("[1]", [1]), ("text", "text"),
        ("NaN", "NaN"), ("{", "{"), ("", ""), ("Infinity", "Infinity"), ("[" * 5_000, "[" * 5_000),
    ],
)  # fmt: skip
def test_a_value_of_an_option_is_json_or_text(text: str, value: Any) -> None:
    assert parse_value(text) == value


def test_requirements_become_packages(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(
        f"-i https://mirror.example\n# comment\nScikit_Learn[x]==1.5.0 --hash={SHA}  # why\n"
        f"numpy == 2.0 ; python_version > '3' \\\n  --hash={SHA}\n"
    )
    packages = list(read_requirements(file))
    assert [(p["name"], p["version"]) for p in packages] == [
        ("scikit-learn", "1.5.0"), ("numpy", "2.0"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("numpy>=2", ":2: only pinned"),
        ("numpy==2", ":2: numpy has no sha256 hash"),
        ("numpy==2 --hash=md5:aa", ":2: numpy has no sha256 hash"),
        ("-r other.txt", ":2: only pinned"),
        ("-e .", ":2: only pinned"),
        ("https://x/y.whl", ":2: only pinned"),
    ],
)
def test_what_is_not_pinned_and_hashed_is_refused_with_its_line(
    tmp_path: Path, line: str, message: str
) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(f"# first\n{line}\n")
    with pytest.raises(FileUnfit, match=message):
        list(read_requirements(file))


@pytest.mark.parametrize("image", ["x", "x=y", "x=y:latest", f"x=y@{SHA}0", f"=y@{SHA}"])
def test_an_image_without_its_digest_is_not_locked(image: str) -> None:
    with pytest.raises(SettingsUnfit, match="NAME=REPOSITORY@sha256"):
        lock_document([image], None, platform="linux/amd64")


def test_a_definition_names_repositories_without_digests() -> None:
    made = definition_document("demo", [f"a=host:5000/x@{SHA}", "b=y"])
    assert [image["repository"] for image in made["images"]] == ["host:5000/x", "y"]
    with pytest.raises(SettingsUnfit):
        definition_document("demo", ["a=x:latest"])
