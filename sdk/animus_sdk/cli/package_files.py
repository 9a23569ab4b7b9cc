"""Files in which people's tools pin packages, read into what an environment lock says of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from animus_sdk.cli.lock_documents import pypi_name, read_requirements
from animus_sdk.errors import AnimusError, FileUnfit
from animus_sdk.printable import printable
from animus_sdk.user_config import parse_toml

MAX_BYTES = 32 * 1024 * 1024
MAX_HASHES = 512
"""Of one package, as an environment lock takes them."""
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_MACHINES = {"linux/amd64": ("x86_64", "linux-64"), "linux/arm64": ("aarch64", "linux-aarch64")}
"""What wheels and conda call a platform."""
_MANAGERS = {"conda": "conda", "pip": "pypi"}

Package = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    found: tuple[Package, ...] = ()
    words: str
    """Which file they are of; or why there are none."""


def find_packages(folder: Path, *, platform: str) -> Packages:
    """Of the first file that is there, in the order of `READERS`.

    A file that does not pin everything gives none, and the words say why: the image is what runs.
    """
    for name in READERS:
        if (folder / name).is_file():
            try:
                return read_packages(folder / name, platform=platform)
            except AnimusError as problem:
                return Packages(words=f"none taken of {name}: {problem.message}")
    return Packages(words=f"none named: there is no {', '.join(READERS)}")


def is_package_file(path: Path) -> bool:
    return path.name in READERS or path.suffix in (".txt", ".lock")


def read_packages(path: Path, *, platform: str) -> Packages:
    """Raises `FileUnfit` or `SettingsUnfit` where it does not pin everything."""
    read = READERS.get(path.name, _read_requirements)
    found = tuple(_ordered(read(path, platform)))
    return Packages(found=found, words=f"{len(found)} of {printable(path.name)}")


def _read_requirements(path: Path, platform: str) -> Iterator[Package]:
    return read_requirements(path)


def _read_uv(path: Path, platform: str) -> Iterator[Package]:
    """uv.lock, version 1. What is no package of an index is the project itself, or has no hash."""
    document = parse_toml(_content(path), path=path)
    for one in _tables(path, document, "package"):
        source = one.get("source")
        if not isinstance(source, dict) or not source.keys() & {"registry", "url", "git"}:
            continue
        files = [*_files(one.get("wheels")), *_files(one.get("sdist"))]
        yield _package(path, "pypi", one, (h for url, h in files if _fits(url, platform)))


def _read_conda(path: Path, platform: str) -> Iterator[Package]:
    """conda-lock's unified file, version 1."""
    try:
        document = yaml.load(_content(path), Loader=_LOADER)
    except (yaml.YAMLError, RecursionError, ValueError):
        raise FileUnfit(f"{printable(path.name)} is not YAML.") from None
    wanted = _MACHINES[platform][1]
    for one in _tables(path, document, "package"):
        manager = _MANAGERS.get(str(one.get("manager")))
        if manager is None or one.get("platform") not in (wanted, "noarch"):
            continue
        said = one.get("hash")
        sha256 = said.get("sha256") if isinstance(said, dict) else None
        yield _package(path, manager, one, [f"sha256:{sha256}"] if sha256 else [])


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

READERS: Mapping[str, Callable[[Path, str], Iterator[Package]]] = {
    "uv.lock": _read_uv,
    "requirements.lock": _read_requirements,
    "conda-lock.yml": _read_conda,
    "requirements.txt": _read_requirements,
}


def _package(path: Path, ecosystem: str, said: Mapping[str, Any], hashes: Iterable[str]) -> Package:
    name, version = said.get("name"), said.get("version")
    if not isinstance(name, str) or not isinstance(version, str) or not name or not version:
        raise FileUnfit(f"{printable(path.name)} has a package without name or version.")
    kept = sorted({one for one in hashes if _SHA256.fullmatch(one)})
    if len(kept) > MAX_HASHES:
        raise FileUnfit(f"{printable(path.name)}: {printable(name)} has over {MAX_HASHES} hashes.")
    return {
        "ecosystem": ecosystem,
        "name": pypi_name(name) if ecosystem == "pypi" else name,
        "version": version,
        "hashes": kept,
    }


def _fits(url: str, platform: str) -> bool:
    """Whether a file may be installed there: a source, or a wheel of this machine or of any."""
    name = url.rpartition("/")[2]
    if not name.endswith(".whl"):
        return True
    return name.endswith("-any.whl") or ("linux" in name and _MACHINES[platform][0] in name)


def _files(said: Any) -> Iterator[tuple[str, str]]:
    for one in said if isinstance(said, list) else [said]:
        if isinstance(one, dict):
            yield str(one.get("url") or one.get("path") or ""), str(one.get("hash") or "")


def _tables(path: Path, document: Any, key: str) -> Iterator[Mapping[str, Any]]:
    found = document.get(key, []) if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise FileUnfit(f"{printable(path.name)} is not in the format of its name.")
    yield from found


def _ordered(packages: Iterable[Package]) -> list[Package]:
    """Each once: a file may name one for several purposes."""
    kept = {(one["ecosystem"], one["name"], one["version"]): one for one in packages}
    return [kept[key] for key in sorted(kept)]


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileUnfit(f"Cannot read {printable(path.name)}: {error.strerror}.") from None
    if len(content) > MAX_BYTES:
        raise FileUnfit(f"{printable(path.name)} has more than {MAX_BYTES} bytes.")
    return content
