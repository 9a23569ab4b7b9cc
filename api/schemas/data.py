"""Bodies and views of datasets, uploads, sources, environments, pipelines and policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

from animus.domain import patterns
from animus.domain.code_refs import CodeLimitation, CodeState
from animus.domain.environment_locks import EnvironmentDefinition, EnvironmentLock
from animus.domain.pipelines import PipelineSpec
from animus.domain.sources.objects import ObjectFormat
from animus.services.blobs import ObjectDownload, ObjectUpload
from animus.services.datasets import FileDownload
from api.schemas.fields import Body, DigestIn, DigestOut, Name, ObjectSize, Sentence, View


class UploadOut(View):
    """A presigned PUT. Send exactly these headers and this content; the URL works once."""

    sha256: DigestOut
    size: int
    url: str
    method: str
    headers: Mapping[str, str]
    expires_at: datetime

    @classmethod
    def of(cls, upload: ObjectUpload) -> UploadOut:
        put = upload.put
        return cls(
            sha256=upload.sha256, size=upload.size, url=put.url, method=put.method,
            headers=put.headers, expires_at=put.expires_at,
        )  # fmt: skip


class DownloadOut(View):
    sha256: DigestOut
    size: int
    url: str
    expires_at: datetime

    @classmethod
    def of(cls, download: ObjectDownload) -> DownloadOut:
        get = download.get
        return cls(
            sha256=download.sha256, size=download.size, url=get.url, expires_at=get.expires_at
        )


class FileDownloadOut(View):
    path: str
    download: DownloadOut

    @classmethod
    def all_of(cls, files: Sequence[FileDownload]) -> list[FileDownloadOut]:
        return [cls(path=f.path, download=DownloadOut.of(f.download)) for f in files]


class CreateDataset(Body):
    name: Name
    description: Sentence = ""


class DatasetOut(View):
    id: UUID
    name: str
    description: str
    created_by: UUID
    created_at: datetime


class DeclareVersion(Body):
    manifest: dict[str, Any]
    """{"files": [{"path", "sha256", "size"}]}"""


class DatasetVersionOut(View):
    id: UUID
    dataset_id: UUID
    ordinal: int
    digest: DigestOut
    files: int
    total_bytes: int
    created_by: UUID
    created_at: datetime


class DatasetUploadOut(View):
    id: UUID
    digest: DigestOut
    uploads: list[UploadOut]
    already_stored: int
    version: DatasetVersionOut | None
    """There where the dataset has a version of this content already."""
    expires_at: datetime


class DeclareSource(Body):
    pack_sha256: DigestIn
    size: ObjectSize
    commit: Annotated[str, StringConstraints(pattern=patterns.COMMIT)]
    object_format: ObjectFormat = ObjectFormat.SHA1
    path: Annotated[str, StringConstraints(max_length=1_024)] = ""


class SourceOut(View):
    id: UUID
    pack_sha256: DigestOut
    commit: str
    object_format: ObjectFormat
    path: str
    state: CodeState
    limitations: tuple[CodeLimitation, ...]
    files: int
    total_bytes: int
    created_at: datetime


class DeclaredSourceOut(View):
    id: UUID
    source: SourceOut | None
    upload: UploadOut | None
    expires_at: datetime


class DefineEnvironment(Body):
    environment: dict[str, Any]


class EnvironmentOut(View):
    id: UUID
    name: str
    version: int
    document: EnvironmentDefinition
    created_at: datetime


class LockEnvironment(Body):
    lock: dict[str, Any]


class LockOut(View):
    id: UUID
    environment_id: UUID
    digest: DigestOut
    document: EnvironmentLock
    created_at: datetime


class CheckPipeline(Body):
    pipeline: dict[str, Any]


class RegisterPipeline(Body):
    pipeline: dict[str, Any]
    not_secret: Annotated[list[str], Field(max_length=50)] = []
    """JSON pointers at which something looks like a credential, and is none."""


class CheckedPipelineOut(View):
    digest: DigestOut
    spec: PipelineSpec


class PipelineOut(CheckedPipelineOut):
    name: str
    created_at: datetime


class CreatePolicy(Body):
    name: Name


class AddPolicyVersion(Body):
    document: dict[str, Any]


class ChangePolicy(Body):
    reason: Sentence = ""


class PolicyVersionOut(View):
    id: UUID
    policy: str
    version: int
    digest: str
    state: str
    document: dict[str, Any]
    created_at: datetime


class PolicyOut(View):
    id: UUID
    name: str
    versions: tuple[PolicyVersionOut, ...]
