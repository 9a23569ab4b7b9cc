"""An attempt's inputs and source laid out as fetch does it, every byte compared with the plan's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from animus_sdk.errors import FileUnfit, TransferFailed
from animus_sdk.local.folders import StepFolder, put_file, writing
from animus_sdk.local.objects import Objects
from animus_sdk.printable import printable
from animus_sdk.source import unpack
from animus_sdk.transfer.manifests import HashedFile, path_problem, seal
from animus_sdk.wire.step_views import AttemptInput, AttemptInputs
from animus_sdk.wire.views import Download

DIRECTORY = "manifest"


class Asking(Protocol):
    """Says the same again, with fresh URLs."""

    def __call__(self) -> AttemptInputs: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    said: AttemptInputs
    ask: Asking
    objects: Objects
    folder: StepFolder

    def lay_out(self, *, fresh: bool) -> None:
        """Inputs and source as they were; what one has worked on is left, unless `fresh`.

        Raises `TransferFailed` for bytes that are not the plan's, `FileUnfit` for the disk.
        """
        folder = self.folder
        self.objects.progress.begin(_total(self.said))
        keeps = folder.is_laid_out and not fresh
        folder.make_empty(folder.inputs, folder.code, folder.telemetry)
        for given in self.said["inputs"]:
            self._lay_out_input(given)
        if not keeps:
            folder.make_empty(folder.work, folder.outputs)
        self._unpack_source(into_work=not keeps)
        folder.write_parameters(self.said["parameters"])

    def _lay_out_input(self, given: AttemptInput) -> None:
        _check(given)
        target = self.folder.inputs / given["name"]
        if given["kind"] == DIRECTORY:
            with writing(target):
                target.mkdir(mode=0o755)
        for file in given["files"]:
            found = self.objects.get(
                file["download"],
                renew=lambda path=file["path"]: self._renew_input(given["name"], path),  # type: ignore[misc]  # bound now
            )
            put_file(found, target / file["path"] if given["kind"] == DIRECTORY else target)

    def _unpack_source(self, *, into_work: bool) -> None:
        source = self.said["source"]
        if source is None:
            return
        pack = self.objects.get(source, renew=self._renew_source)
        content = pack.read_bytes()
        targets = [self.folder.code, *([self.folder.work] if into_work else [])]
        for target in targets:
            unpack(
                content,
                target,
                expected_sha256=source["sha256"],
                commit=self.said["commit"],
                path=self.said["source_path"],
            )

    def _renew_input(self, name: str, path: str) -> Download:
        given = next(one for one in self.ask()["inputs"] if one["name"] == name)
        return next(file["download"] for file in given["files"] if file["path"] == path)

    def _renew_source(self) -> Download:
        source = self.ask()["source"]
        assert source is not None  # what an attempt was given does not change
        return source


def _check(given: AttemptInput) -> None:
    """By the digest that the plan names, whatever the gateway lists."""
    name, files = given["name"], given["files"]
    paths = [file["path"] for file in files if given["kind"] == DIRECTORY]
    if "/" in name or any(path_problem(one) is not None for one in (name, *paths)):
        raise FileUnfit(
            f"The input {printable(name)!r} has a path that would leave its directory.",
            code="unsafe_path",
        )
    if _digest(given) != given["digest"]:
        raise TransferFailed(
            f"What the gateway lists for the input {name} is not what the plan names.",
            code="digest_mismatch",
        )


def _digest(given: AttemptInput) -> str:
    if given["kind"] != DIRECTORY:
        (only,) = given["files"]
        return only["download"]["sha256"]
    listed = (
        HashedFile(
            path=file["path"], source=Path(), sha256=download["sha256"], size=download["size"]
        )
        for file in given["files"]
        for download in (file["download"],)
    )
    return seal(listed).digest


def _total(said: AttemptInputs) -> int:
    files = (file["download"]["size"] for given in said["inputs"] for file in given["files"])
    return sum(files) + (said["source"]["size"] if said["source"] is not None else 0)
