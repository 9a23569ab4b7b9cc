"""Source packs on their way to the gateway, which proves them from their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from animus_sdk.resources.scopes import Scope
from animus_sdk.source import SourcePack
from animus_sdk.transfer.progress import Progress
from animus_sdk.transfer.uploads import listed, upload_all
from animus_sdk.wire import operations
from animus_sdk.wire.views import DeclaredSource, Source


@dataclass(frozen=True, slots=True)
class Sources:
    _scope: Scope

    def upload(self, pack: SourcePack, *, progress: Progress | None = None) -> Source:
        """The source as the gateway found it in the pack; nothing is sent that it has."""
        declared = self._declare(pack)
        if declared["source"] is not None:
            return declared["source"]

        upload_all(
            self._scope.store,
            listed(declared["upload"]),
            {pack.pack_sha256: pack.content},
            renew=lambda: listed(self._declare(pack)["upload"]),
            progress=progress,
        )
        return self._scope.call(operations.COMMIT_SOURCE, Source, upload_id=declared["id"])

    def _declare(self, pack: SourcePack) -> DeclaredSource:
        body = {
            "pack_sha256": pack.pack_sha256,
            "size": pack.size,
            "commit": pack.commit,
            "object_format": pack.object_format,
            "path": pack.path,
        }
        return self._scope.call(operations.DECLARE_SOURCE, DeclaredSource, body=body)


def code_reference(pack: SourcePack) -> dict[str, Any]:
    """What a run says of its code."""
    reference: dict[str, Any] = {
        "commit": pack.commit,
        "object_format": pack.object_format,
        "path": pack.path,
        "state": pack.state,
        "pack_sha256": pack.pack_sha256,
        "limitations": [{"code": one.code, "subject": one.subject} for one in pack.limitations],
    }
    if pack.repo_url:
        reference["repo_url"] = pack.repo_url
    return reference
