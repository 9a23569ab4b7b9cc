"""`Idempotency-Key`: the same request again gives the same result, authorised anew.

The record keeps the request's digest, the status and the entity's id, never a body: the answer is
built again from the entity, so no stored body can keep a secret or a dead URL.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request

from animus.domain.digests import Digest, sha256
from animus.domain.errors import Conflict, Fault, InvalidDocument
from animus.services.calls import Call
from animus.store import delivery
from animus.store.database import ReadSession, UnitOfWork
from animus.store.tables import IdempotencyRecord
from api.context import context_of

V = TypeVar("V")
HEADER = "idempotency-key"
_PATTERN = r"[\x21-\x7e]{1,255}"
_KEY = re.compile(_PATTERN)
IDEMPOTENT: dict[str, Any] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same request with the same key again gives what the first one "
            "made; another request with it is refused.",
            "schema": {"type": "string", "pattern": f"^{_PATTERN}$"},
        }
    ]
}
"""What a route whose work is done in `creating` says of it in the OpenAPI document."""


class IdempotencyConflict(Conflict):
    code = "idempotency_conflict"


async def creating(
    request: Request,
    call: Call,
    create: Callable[[UnitOfWork], Awaitable[V]],
    *,
    rebuild: Callable[[ReadSession, str], Awaitable[V]],
    entity_id: Callable[[V], object],
    status: int = 201,
) -> V:
    """Run `create` in one transaction, or rebuild what the same request created before."""
    key = request.headers.get(HEADER)
    async with context_of(request).database.write() as uow:
        if key is None:
            return await create(uow)
        record = await _record(request, call, key, status)
        known = await delivery.keep_idempotency_record(uow, record)
        if known is not None:
            _check_same(known, record)
            return await rebuild(uow, known.entity_id)
        created = await create(uow)
        record.entity_id = str(entity_id(created))
        delivery.settle_idempotency_record(uow, record)
        return created


async def _record(request: Request, call: Call, key: str, status: int) -> IdempotencyRecord:
    if not _KEY.fullmatch(key):
        message = "An idempotency key has 1 to 255 printable ASCII characters without spaces."
        raise InvalidDocument(message, [Fault(pointer=f"/headers/{HEADER}", message=message)])
    return IdempotencyRecord(
        principal_id=call.by.principal_id,
        method=request.method,
        route=request.scope["route"].path,
        scope=str(request.path_params.get("project_id", "")),
        idempotency_key=key,
        request_digest=await _digest(request),
        status=status,
        entity_id="",
    )


async def _digest(request: Request) -> Digest:
    """Over what the request asks: its path and its body, byte for byte."""
    return sha256(request.url.path.encode() + b"\n" + await request.body())


def _check_same(known: IdempotencyRecord, record: IdempotencyRecord) -> None:
    if known.request_digest != record.request_digest:
        raise IdempotencyConflict(
            "This idempotency key was used for another request. Use a new key."
        )
