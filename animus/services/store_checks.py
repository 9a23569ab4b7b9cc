"""Permission to try the way to the object store, with one small content that says what it is.

Nothing is recorded: the content is the same for all callers, and at most once in a project's store.
"""

from __future__ import annotations

from dataclasses import dataclass

from animus.domain.digests import sha256
from animus.domain.ids import ProjectId
from animus.ports import ObjectStore
from animus.services.blobs import URL_LIFE, ObjectDownload, ObjectUpload, WantedObject, uploads_for

CONTENT = "Put here by 'animus doctor', which tries the way to the object store. Keep it or not.\n"
_BYTES = CONTENT.encode("ascii")
_DIGEST = sha256(_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCheck:
    content: str
    upload: ObjectUpload
    """The store answers 412 where the content is there already: then too it has let the URL in."""
    download: ObjectDownload | None
    """None until the content was put there."""


async def check_store(store: ObjectStore, project_id: ProjectId) -> StoreCheck:
    """URLs as for any upload and download. Raises `ObjectStoreUnavailable` where we get no answer
    from the store ourselves."""
    wanted = WantedObject(sha256=_DIGEST, size=len(_BYTES))
    (upload,) = uploads_for(store, project_id, [wanted])
    found = await store.find_object(project_id, _DIGEST)
    download = None
    if found is not None and found.version_id is not None:
        get = store.presign_get(project_id, _DIGEST, version_id=found.version_id, expires=URL_LIFE)
        download = ObjectDownload(sha256=_DIGEST, size=len(_BYTES), get=get)
    return StoreCheck(content=CONTENT, upload=upload, download=download)
