"""The data plane's side: agents claim attempts; fetch and collect move a step's bytes."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode

from fastapi import APIRouter, Request

from animus.domain.digests import Digest
from animus.domain.errors import Invalid
from animus.domain.pipelines import SecretReference
from animus.services import agents, claims, clusters, secret_accesses, step_inputs
from animus.services.blobs import WantedObject
from api.callers import Agent, AttemptHolder
from api.context import context_of
from api.requests import StrictRoute
from api.schemas.data import DownloadOut, UploadOut
from api.schemas.execution import (
    ClaimAttempt,
    ClaimOut,
    FindSettled,
    HeartbeatOut,
    RecordRemoval,
    RecordSecretAccess,
    RemovalOut,
    RequestUploads,
    SecretAccessOut,
    SendHeartbeat,
    SettledOut,
    StepInputOut,
    StepInputsOut,
    UploadsOut,
)

router = APIRouter(tags=["execution"], route_class=StrictRoute)


@router.post("/agent/attempts:claim")
async def claim_attempt(call: Agent, request: Request, body: ClaimAttempt) -> ClaimOut:
    """Show a work order, get the work and its tokens. For the agent of the order's cluster."""
    order, signature = _decode(body.order), _decode(body.signature)
    async with context_of(request).database.write() as uow:
        claim = await claims.claim_attempt(uow, call, order=order, signature=signature)
    return ClaimOut(
        attempt_id=claim.attempt_id,
        run_id=claim.run_id,
        project_id=claim.project_id,
        assignment=b64encode(claim.assignment).decode(),
        attempt_token=claim.attempt_token,
        run_token=claim.run_token,
        first=claim.first,
        claimed_at=claim.claimed_at,
        max_log_bytes=claim.max_log_bytes,
    )


@router.post("/agent/attempts:settled")
async def find_settled_attempts(call: Agent, request: Request, body: FindSettled) -> SettledOut:
    """Which of these attempts are not open: nothing of them is needed."""
    async with context_of(request).database.read() as session:
        settled = await claims.find_settled(session, call, body.attempt_ids)
    return SettledOut(settled=list(settled))


@router.post("/agent/removals")
async def record_removal(call: Agent, request: Request, body: RecordRemoval) -> RemovalOut:
    """The agent is about to remove something of its cluster that belongs to no open attempt."""
    async with context_of(request).database.write() as uow:
        cluster = await clusters.record_removal(uow, call, removed=body.removed)
    return RemovalOut(cluster=cluster)


@router.post("/agent/heartbeats")
async def send_heartbeat(call: Agent, request: Request, body: SendHeartbeat) -> HeartbeatOut:
    """The agent lives and can take work. Without it for 45 s, its cluster's runs say so."""
    async with context_of(request).database.write() as uow:
        heartbeat = await agents.record_heartbeat(uow, call, version=body.version)
    return HeartbeatOut.model_validate(heartbeat)


@router.post("/agent/secret-accesses")
async def record_secret_access(
    call: Agent, request: Request, body: RecordSecretAccess
) -> SecretAccessOut:
    """The agent is about to fetch a step's secrets from its store. Safe to repeat."""
    references = [SecretReference(name=one.name, secretRef=one.secretRef) for one in body.secrets]
    async with context_of(request).database.write() as uow:
        recorded = await secret_accesses.record_access(
            uow, call, digest=Digest(body.order_digest), references=references
        )
    return SecretAccessOut(cluster=recorded.cluster, first=recorded.first)


@router.get("/attempt/inputs")
async def get_step_inputs(holder: AttemptHolder, request: Request) -> StepInputsOut:
    """What the step reads, with URLs that are good for some minutes."""
    context, access = context_of(request), holder.access
    async with context.database.read() as session:
        found = await step_inputs.read_inputs(
            session, access.project_id, access.assignment, store=context.store
        )
    code = access.assignment.code
    return StepInputsOut(
        run_id=access.run_id,
        step=access.assignment.step.name,
        attempt=access.number,
        parameters=access.assignment.parameters,
        inputs=StepInputOut.all_of(found.inputs),
        source=DownloadOut.of(found.source) if found.source else None,
        commit=code.commit if code else None,
        source_path=code.path if code else None,
    )


@router.post("/attempt/uploads")
async def request_step_uploads(
    holder: AttemptHolder, request: Request, body: RequestUploads
) -> UploadsOut:
    """Where to put outputs and the log; what the store has already is left out."""
    context = context_of(request)
    wanted = [WantedObject(sha256=Digest(one.sha256), size=one.size) for one in body.objects]
    async with context.database.read() as session:
        uploads = await claims.step_uploads(session, holder.access, wanted, store=context.store)
    return UploadsOut(uploads=[UploadOut.of(upload) for upload in uploads])


def _decode(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error:
        raise Invalid("This is not base64.") from None
