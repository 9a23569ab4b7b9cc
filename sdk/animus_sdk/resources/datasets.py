"""Datasets: pushing what the store lacks, looking, downloading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from animus_sdk.errors import ApiError
from animus_sdk.printable import printable
from animus_sdk.resources.references import UnknownReference, is_id
from animus_sdk.resources.scopes import PAGE, Scope
from animus_sdk.transfer.downloads import Downloaded, download_files
from animus_sdk.transfer.manifests import Manifest, find_files, hash_files
from animus_sdk.transfer.progress import Progress
from animus_sdk.transfer.uploads import Uploaded, upload_all
from animus_sdk.wire import operations
from animus_sdk.wire.views import (
    Dataset,
    DatasetUpload,
    DatasetVersion,
    Download,
    FileDownload,
    Upload,
)

LATEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """A version, and what had to be sent for it."""

    dataset: Dataset
    version: DatasetVersion
    new_version: bool
    """False where the dataset had a version of this content already."""
    files: int
    uploaded: int
    uploaded_bytes: int
    """Of distinct contents; the same bytes under two paths are sent once."""
    already_stored: int


@dataclass(frozen=True, slots=True)
class Datasets:
    _scope: Scope

    def all(self) -> list[Dataset]:
        """All, in the order of their ids."""
        found: list[Dataset] = []
        while True:
            after = found[-1]["id"] if found else None
            page = self._scope.call(
                operations.LIST_DATASETS, list[Dataset], query={"after": after, "limit": PAGE}
            )
            found += page
            if len(page) < PAGE:
                return found

    def find(self, name: str) -> Dataset | None:
        found = self._scope.call(operations.LIST_DATASETS, list[Dataset], query={"name": name})
        return found[0] if found else None

    def get(self, name: str) -> Dataset:
        found = self.find(name)
        if found is None:
            raise UnknownReference(
                f"There is no dataset {printable(name)!r} in this project."
                " See 'animus dataset list'."
            )
        return found

    def create(self, name: str, *, description: str = "") -> Dataset:
        body = {"name": name, "description": description}
        return self._scope.call(operations.CREATE_DATASET, Dataset, body=body)

    def versions(self, dataset_id: str) -> list[DatasetVersion]:
        """Newest first; the last 500."""
        return self._scope.call(
            operations.LIST_VERSIONS,
            list[DatasetVersion],
            query={"limit": PAGE},
            dataset_id=dataset_id,
        )

    def version(self, reference: str) -> DatasetVersion:
        """By `name@3`, `name@latest`, `name` (the newest), or a version's id."""
        if is_id(reference):
            return self._scope.call(operations.GET_VERSION, DatasetVersion, version_id=reference)
        name, _, wanted = reference.partition("@")
        dataset = self.get(name)
        newest_first = self.versions(dataset["id"])
        for version in newest_first:
            if wanted in ("", LATEST, str(version["ordinal"])):
                return version
        known = ", ".join(str(version["ordinal"]) for version in reversed(newest_first[:10]))
        raise UnknownReference(
            f"Dataset {printable(name)!r} has no version {printable(wanted or LATEST)!r}."
            f" Known: {known or 'none'}."
        )

    def push(
        self,
        name: str,
        paths: Sequence[Path | str],
        *,
        description: str = "",
        progress: Progress | None = None,
    ) -> Pushed:
        """A version of dataset `name` with these files; only what the store lacks is uploaded.

        Doing it again, also after a crash half-way, ends in the same version.
        """
        manifest = hash_files(find_files([Path(path) for path in paths]))
        return self.push_manifest(name, manifest, description=description, progress=progress)

    def push_manifest(
        self,
        name: str,
        manifest: Manifest,
        *,
        description: str = "",
        progress: Progress | None = None,
    ) -> Pushed:
        dataset = self._find_or_create(name, description)
        upload = self._scope.call(
            operations.DECLARE_VERSION,
            DatasetUpload,
            body={"manifest": manifest.document},
            dataset_id=dataset["id"],
        )
        sent = self._upload(upload, manifest, progress)
        version = self._scope.call(
            operations.COMMIT_VERSION, DatasetVersion, upload_id=upload["id"]
        )
        return Pushed(
            dataset=dataset,
            version=version,
            new_version=upload["version"] is None,
            files=len(manifest.files),
            uploaded=sent.sent,
            uploaded_bytes=sent.sent_bytes,
            already_stored=upload["already_stored"] + sent.already,
        )

    def files(self, version_id: str) -> list[FileDownload]:
        return self._scope.call(
            operations.LIST_VERSION_FILES, list[FileDownload], version_id=version_id
        )

    def download(
        self,
        version_id: str,
        into: Path | str,
        *,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> Downloaded:
        """Every file of a version below `into`, verified."""

        def renew(path: str) -> Download:
            return next(f["download"] for f in self.files(version_id) if f["path"] == path)

        return download_files(
            self._scope.store,
            self.files(version_id),
            Path(into),
            renew=renew,
            progress=progress,
            replace=replace,
        )

    def _find_or_create(self, name: str, description: str) -> Dataset:
        found = self.find(name)
        if found is not None:
            return found
        try:
            return self.create(name, description=description)
        except ApiError as error:
            made_meanwhile = self.find(name) if error.status == 409 else None
            if made_meanwhile is None:
                raise
            return made_meanwhile

    def _upload(
        self, upload: DatasetUpload, manifest: Manifest, progress: Progress | None
    ) -> Uploaded:
        def renew() -> Sequence[Upload]:
            fresh = self._scope.call(
                operations.GET_DATASET_UPLOAD, DatasetUpload, upload_id=upload["id"]
            )
            return fresh["uploads"]

        return upload_all(
            self._scope.store,
            upload["uploads"],
            {file.sha256: file.source for file in manifest.files},
            renew=renew,
            progress=progress,
        )
