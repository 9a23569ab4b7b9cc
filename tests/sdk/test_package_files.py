"""What uv, pip and conda-lock pin, as the packages of an environment lock."""

from __future__ import annotations

from pathlib import Path

import pytest
from animus_sdk.cli.package_files import find_packages, is_package_file, read_packages
from animus_sdk.errors import FileUnfit, SettingsUnfit

AMD, ARM = "linux/amd64", "linux/arm64"
A, B, C, D = (letter * 64 for letter in "abcd")

UV = f"""
version = 1
requires-python = ">=3.11"

[[package]]
name = "churn"
version = "0.1.0"
source = {{ virtual = "." }}
dependencies = [{{ name = "numpy" }}]

[[package]]
name = "NumPy"
version = "2.3.5"
source = {{ registry = "https://index.example/simple" }}
sdist = {{ url = "f/numpy-2.3.5.tar.gz", hash = "sha256:{A}", size = 1 }}
wheels = [
    {{ url = "f/numpy-2.3.5-cp311-cp311-manylinux_2_28_x86_64.whl", hash = "sha256:{B}" }},
    {{ url = "f/numpy-2.3.5-cp311-cp311-manylinux_2_28_aarch64.whl", hash = "sha256:{C}" }},
    {{ url = "f/numpy-2.3.5-cp311-cp311-win_amd64.whl", hash = "sha256:{D}" }},
]

[[package]]
name = "tool"
version = "1"
source = {{ git = "https://git.example/tool?rev=1#abc" }}
"""

CONDA = f"""
version: 1
metadata: {{platforms: [linux-64, osx-arm64]}}
package:
- {{name: python, version: 3.11.9, manager: conda, platform: linux-64, url: x, hash: {{md5: 1, sha256: {A}}}}}
- {{name: python, version: 3.11.9, manager: conda, platform: osx-arm64, url: x, hash: {{sha256: {B}}}}}
- {{name: Ruamel.Yaml, version: "1.0", manager: pip, platform: linux-64, url: x, hash: {{sha256: {C}}}}}
- {{name: old, version: "1", manager: conda, platform: linux-64, url: x, hash: {{md5: 1}}}}
"""  # noqa: E501

PINNED = f"scikit_learn==1.7.2 --hash=sha256:{A}\n"


def test_of_uv_what_an_index_gave_for_this_platform(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text(UV)
    found = find_packages(tmp_path, platform=AMD)
    assert found.words == "2 of uv.lock"
    numpy, tool = found.found
    assert numpy == {
        "ecosystem": "pypi", "name": "numpy", "version": "2.3.5",
        "hashes": [f"sha256:{A}", f"sha256:{B}"],
    }  # fmt: skip
    assert (tool["name"], tool["hashes"]) == ("tool", [])
    arm = find_packages(tmp_path, platform=ARM).found[0]
    assert arm["hashes"] == [f"sha256:{A}", f"sha256:{C}"]


def test_of_conda_lock_what_is_for_this_platform(tmp_path: Path) -> None:
    (tmp_path / "conda-lock.yml").write_text(CONDA)
    found = read_packages(tmp_path / "conda-lock.yml", platform=AMD)
    assert [(p["ecosystem"], p["name"], p["version"], p["hashes"]) for p in found.found] == [
        ("conda", "old", "1", []),
        ("conda", "python", "3.11.9", [f"sha256:{A}"]),
        ("pypi", "ruamel-yaml", "1.0", [f"sha256:{C}"]),
    ]


def test_the_file_that_is_taken_is_said_and_the_first_one_is_taken(tmp_path: Path) -> None:
    assert find_packages(tmp_path, platform=AMD).words.startswith("none named: there is no uv.lock")
    (tmp_path / "requirements.txt").write_text(PINNED)
    assert find_packages(tmp_path, platform=AMD).words == "1 of requirements.txt"
    (tmp_path / "requirements.lock").write_text(PINNED)
    assert find_packages(tmp_path, platform=AMD).words == "1 of requirements.lock"
    (tmp_path / "uv.lock").write_text(UV)
    assert find_packages(tmp_path, platform=AMD).words == "2 of uv.lock"


def test_a_file_that_pins_nothing_stops_nobody_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("numpy>=2\n")
    found = find_packages(tmp_path, platform=AMD)
    assert found.found == ()
    assert found.words.startswith("none taken of requirements.txt: ")
    assert "requirements.txt:1: only pinned packages" in found.words
    with pytest.raises(FileUnfit, match="only pinned packages"):
        read_packages(tmp_path / "requirements.txt", platform=AMD)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("uv.lock", b"package = 1"), ("uv.lock", b"[[package]]\nsource = {registry = 'x'}"),
        ("uv.lock", b"= ="), ("uv.lock", b"\xff"), ("conda-lock.yml", b"[1"),
        ("conda-lock.yml", b"package: [1]"), ("conda-lock.yml", b"- 1"),
        ("conda-lock.yml", b"package: [{manager: pip, platform: linux-64, name: 1}]"),
        ("conda-lock.yml", b"a: !!python/object/apply:os.system [id]"),
        ("conda-lock.yml", b"package: 2001-99-99"),
    ],
)  # fmt: skip
def test_what_is_not_in_the_format_of_its_name_is_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((FileUnfit, SettingsUnfit)):
        read_packages(tmp_path / name, platform=AMD)
    assert find_packages(tmp_path, platform=AMD).words.startswith(f"none taken of {name}: ")


def test_more_hashes_than_a_lock_takes_are_refused_here(tmp_path: Path) -> None:
    wheels = ", ".join(
        f"{{url = 'x-any.whl', hash = 'sha256:{number:064x}'}}" for number in range(513)
    )
    (tmp_path / "uv.lock").write_text(
        f"[[package]]\nname = 'x'\nversion = '1'\nsource = {{registry = 'y'}}\nwheels = [{wheels}]"
    )
    with pytest.raises(FileUnfit, match="x has over 512 hashes"):
        read_packages(tmp_path / "uv.lock", platform=AMD)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("uv.lock", True), ("dev.txt", True), ("lock.json", False), ("lock.yaml", False)],
)
def test_files_of_packages_are_told_from_locks(name: str, is_one: bool) -> None:
    assert is_package_file(Path(name)) is is_one
