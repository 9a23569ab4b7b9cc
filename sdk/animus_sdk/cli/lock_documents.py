"""Environment locks made from what people have: pinned images, and hashed requirements of pip."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from animus_sdk.errors import FileUnfit, SettingsUnfit
from animus_sdk.printable import printable

SCHEMA = "animus.environment-lock/v1"
_IMAGE = re.compile(r"([A-Za-z0-9._-]+)=([^@\s]+)@(sha256:[0-9a-f]{64})")
_REPOSITORY = re.compile(r"([A-Za-z0-9._-]+)=([^@:\s]+(?::[0-9]+/[^@:\s]+)?)")
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*===?\s*([^\s;]+)")
_HASH = re.compile(r"--hash[= ](\S+)")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_COMMENT = re.compile(r"(^|\s)#.*$")
_IGNORED = ("--index-url", "--extra-index-url", "-i ", "--find-links", "-f ", "--no-index",
            "--only-binary", "--no-binary", "--prefer-binary", "--require-hashes",
            "--trusted-host")  # fmt: skip
"""Where packages come from changes nothing about what they are: their hashes say that."""


def lock_document(
    images: Sequence[str], requirements: Path | None, *, platform: str
) -> dict[str, Any]:
    """`images` are written NAME=REPOSITORY@sha256:..."""
    return {
        "schema": SCHEMA,
        "images": [_locked_image(text, platform) for text in images],
        "packages": list(read_requirements(requirements)) if requirements else [],
    }


def definition_document(name: str, images: Sequence[str]) -> dict[str, Any]:
    """`images` are written NAME=REPOSITORY; a digest after it is left out."""
    return {"name": name, "images": [_base_image(text) for text in images]}


def read_requirements(path: Path) -> Iterator[dict[str, Any]]:
    """Packages of a requirements file, all pinned and hashed. Raises `FileUnfit` with the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise FileUnfit(f"Cannot read {printable(str(path))} as text.") from None
    for number, line in _logical_lines(text):
        if not line.startswith(_IGNORED):
            yield _package(f"{printable(str(path))}:{number}", line)


def pypi_name(name: str) -> str:
    """As PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _package(place: str, line: str) -> dict[str, Any]:
    found = _REQUIREMENT.match(line)
    if found is None or line.startswith("-"):
        raise FileUnfit(f"{place}: only pinned packages (name==version) go into a lock.")
    hashes = [text for text in _HASH.findall(line) if _SHA256.fullmatch(text)]
    if not hashes:
        raise FileUnfit(
            f"{place}: {found.group(1)} has no sha256 hash. Pin with hashes, such as with"
            " 'pip-compile --generate-hashes' or 'uv export'."
        )
    return {
        "ecosystem": "pypi",
        "name": pypi_name(found.group(1)),
        "version": found.group(2),
        "hashes": sorted(set(hashes)),
    }


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """With the number of the line on which each began; without comments and empty ones."""
    pending, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        began = began if pending else number
        line = _COMMENT.sub("", line).rstrip()
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        whole = (pending + line).strip()
        pending = ""
        if whole:
            yield began, whole
    if pending.strip():
        yield began, pending.strip()


def _locked_image(text: str, platform: str) -> dict[str, str]:
    found = _IMAGE.fullmatch(text)
    if found is None:
        raise SettingsUnfit(
            "An image is written as NAME=REPOSITORY@sha256: and 64 digits, not"
            f" {printable(text)!r}.",
            code="usage",
        )
    name, repository, digest = found.groups()
    return {
        "name": name,
        "repository": repository,
        "platform": platform,
        "manifest_digest": digest,
    }


def _base_image(text: str) -> dict[str, str]:
    found = _REPOSITORY.fullmatch(text.partition("@")[0])
    if found is None:
        raise SettingsUnfit(
            f"An image is written as NAME=REPOSITORY, not {printable(text)!r}.", code="usage"
        )
    return {"name": found.group(1), "repository": found.group(2)}
