"""The datasets of a run: named ones, and paths of this machine that are pushed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animus_sdk.cli.one_step_pipelines import cleaned_name
from animus_sdk.cli.pairs import said_pairs
from animus_sdk.cli.wording import count_words, size_words
from animus_sdk.client import Client
from animus_sdk.errors import SettingsUnfit
from animus_sdk.printable import printable
from animus_sdk.resources.references import is_id
from animus_sdk.transfer.manifests import Manifest, find_files, hash_files

DIGEST_PREFIX = "sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """Both by alias."""

    references: dict[str, Any]
    manifests: dict[str, Manifest]
    """Of what was given as paths."""


def find_paths(client: Client, said: Sequence[str]) -> dict[str, Path]:
    """By alias: what is meant as a path, and not as a dataset that the gateway knows."""
    return {
        alias: Path(value).expanduser()
        for alias, value in said_pairs(said, "--data")
        if _is_path(client, value)
    }


def read_data(said: Sequence[str], paths: Mapping[str, Path]) -> DataRequest:
    """Hashes what is at the paths."""
    manifests = {alias: hash_files(find_files([path])) for alias, path in paths.items()}
    references = {
        alias: {"digest": manifests[alias].digest}
        if alias in manifests
        else _dataset_reference(value)
        for alias, value in said_pairs(said, "--data")
    }
    return DataRequest(references=references, manifests=manifests)


def manifest_words(manifest: Manifest) -> str:
    files = count_words(len(manifest.files), "file")
    return f"{files}, {size_words(manifest.total_bytes)}, {manifest.digest}"


def _is_path(client: Client, value: str) -> bool:
    """With a '/', or where there is one and no dataset is called so."""
    if "/" in value:
        return True
    if not os.path.exists(value):
        return False
    if cleaned_name(value) == value and client.datasets.find(value) is not None:
        raise SettingsUnfit(
            f"{printable(value)!r} is a dataset of the project, and a path here. Write"
            f" {printable(value)}@latest for the dataset, ./{printable(value)} for the path.",
            code="ambiguous",
        )
    return True


def _dataset_reference(value: str) -> dict[str, Any]:
    """A name, `name@3`, `name@latest`, a version's id, or a digest."""
    if value.startswith(DIGEST_PREFIX):
        return {"digest": value}
    if is_id(value):
        return {"version_id": value}
    name, _, version = value.partition("@")
    if version in ("", "latest"):
        return {"name": name}
    if not version.isdecimal():
        raise SettingsUnfit(
            f"A dataset is written as NAME, NAME@3, NAME@latest or ./PATH, not"
            f" {printable(value)!r}.",
            code="usage",
        )
    return {"name": name, "version": int(version)}
