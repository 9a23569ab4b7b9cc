"""Artifacts: what runs have made, down here; and what is added to a running run."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from pathlib import Path

from animus_sdk.errors import FileUnfit
from animus_sdk.printable import printable
from animus_sdk.resources.references import UnknownReference, is_id, pick
from animus_sdk.resources.scopes import PAGE, Scope
from animus_sdk.transfer.downloads import Downloaded, download_files
from animus_sdk.transfer.links import shown
from animus_sdk.transfer.manifests import FoundFile, HashedFile, hash_files
from animus_sdk.transfer.progress import Progress
from animus_sdk.transfer.uploads import listed, upload_all
from animus_sdk.wire import operations
from animus_sdk.wire.views import (
    Artifact,
    ArtifactDownload,
    ArtifactPage,
    DeclaredArtifact,
    Download,
    FileDownload,
)

DEFAULT_MEDIA_TYPE = "application/octet-stream"
DIRECTORY = "manifest"


@dataclass(frozen=True, slots=True)
class Artifacts:
    _scope: Scope

    def of_run(self, run_id: str) -> list[Artifact]:
        """Oldest first."""
        found: list[Artifact] = []
        before: str | None = None
        while True:
            query = {"run_id": run_id, "before": before, "limit": PAGE}
            page = self._scope.call(operations.LIST_ARTIFACTS, ArtifactPage, query=query)
            found += page["artifacts"]
            before = page["next_before"]
            if before is None:
                return found[::-1]

    def newest(self) -> list[Artifact]:
        query = {"limit": PAGE}
        page = self._scope.call(operations.LIST_ARTIFACTS, ArtifactPage, query=query)
        return page["artifacts"]

    def resolve(self, reference: str) -> Artifact:
        """By id, by the end of the id of one of the newest, or as `RUN_ID/NAME`."""
        if is_id(reference):
            return self.get(reference)
        run_id, slash, name = reference.partition("/")
        if slash and is_id(run_id):
            return self._named(run_id, name)
        candidates = ((found["id"], "", found) for found in self.newest())
        return pick(candidates, reference, what="artifact", see="animus run artifacts RUN")

    def _named(self, run_id: str, name: str) -> Artifact:
        """As `NAME`, or as `STEP.NAME` where several steps have one; of attempts the last."""
        of_run = self.of_run(run_id)
        found = [one for one in of_run if name in (one["name"], f"{one['step']}.{one['name']}")]
        steps = sorted({one["step"] for one in found})
        if len(steps) > 1:
            listed = ", ".join(f"{printable(step)}.{printable(name)}" for step in steps)
            raise UnknownReference(
                f"Several steps have a {printable(name)!r}. Write one of: {listed}.",
                code="ambiguous",
            )
        if not found:
            raise UnknownReference(
                f"The run has no artifact {printable(name)!r}. See 'animus run artifacts {run_id}'."
            )
        return found[-1]

    def get(self, artifact_id: str) -> Artifact:
        return self._scope.call(operations.GET_ARTIFACT, Artifact, artifact_id=artifact_id)

    def download(
        self,
        artifact: Artifact,
        target: Path | str,
        *,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> Downloaded:
        """A file to `target` (or into it, where it is a directory); a directory below it."""
        issued = self._issue(artifact["id"])
        into, files = Path(target), issued["files"]
        if artifact["form"] != DIRECTORY:
            name = _file_name(artifact)
            into, name = (into, name) if into.is_dir() else (into.parent, into.name)
            files = [FileDownload(path=name, download=issued["download"])]

        def renew(path: str) -> Download:
            again = self._issue(artifact["id"])
            if artifact["form"] != DIRECTORY:
                return again["download"]
            return next(file["download"] for file in again["files"] if file["path"] == path)

        return download_files(
            self._scope.store, files, into, renew=renew, progress=progress, replace=replace
        )

    def upload(
        self,
        run_id: str,
        path: Path | str,
        *,
        kind: str = "file",
        name: str | None = None,
        media_type: str | None = None,
        progress: Progress | None = None,
    ) -> Artifact:
        """Add one file to a running run."""
        hashed = _hash_one(Path(path))
        guessed = mimetypes.guess_type(hashed.path)[0] or DEFAULT_MEDIA_TYPE
        body = {
            "run_id": run_id,
            "name": name or hashed.path,
            "kind": kind,
            "media_type": media_type or guessed,
            "sha256": hashed.sha256,
            "size": hashed.size,
        }
        declared = self._declare(body)
        upload_all(
            self._scope.store,
            listed(declared["upload"]),
            {hashed.sha256: hashed.source},
            renew=lambda: listed(self._declare(body)["upload"]),
            progress=progress,
        )
        return self._scope.call(
            operations.COMMIT_ARTIFACT, Artifact, artifact_id=declared["artifact_id"]
        )

    def _declare(self, body: dict[str, object]) -> DeclaredArtifact:
        return self._scope.call(operations.DECLARE_ARTIFACT, DeclaredArtifact, body=body)

    def _issue(self, artifact_id: str) -> ArtifactDownload:
        return self._scope.call(
            operations.DOWNLOAD_ARTIFACT, ArtifactDownload, artifact_id=artifact_id
        )


def _hash_one(path: Path) -> HashedFile:
    if not path.is_file():
        raise FileUnfit(
            f"{shown(path)} is no file. Upload single files, or declare the directory as an"
            " output of the step."
        )
    found = FoundFile(path=path.name, source=path.resolve(), size=0)
    (hashed,) = hash_files([found]).files
    return hashed


def _file_name(artifact: Artifact) -> str:
    """The last part of an artifact's name: it may have slashes."""
    return artifact["name"].rpartition("/")[2] or artifact["id"]
