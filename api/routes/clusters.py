"""Clusters: registering where steps run, the agent that runs them, and which projects use them."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from animus.domain.ids import ClusterId, ProjectId
from animus.services import clusters, project_clusters
from animus.services.clusters import ClusterView
from animus.services.principals import IssuedToken
from animus.services.project_clusters import SetProjectClusters
from animus.store.database import ReadSession
from api.callers import MemberReader, Overseer, PlatformAdmin, SignedIn
from api.context import context_of
from api.idempotency import IDEMPOTENT, creating
from api.requests import StrictRoute
from api.schemas.access import (
    ClusterOut,
    ProjectClustersOut,
    RegisterCluster,
    RegisteredCluster,
    SetProjectClustersIn,
    TokenOut,
)

router = APIRouter(tags=["clusters"], route_class=StrictRoute)


@router.post("/clusters", status_code=201, openapi_extra=IDEMPOTENT)
async def register_cluster(
    call: PlatformAdmin, request: Request, body: RegisterCluster
) -> RegisteredCluster:
    """The agent's account and token, shown once; results are verified with `result_key`."""

    async def rebuild(session: ReadSession, entity_id: str) -> tuple[ClusterView, IssuedToken]:
        return await clusters.get_registered(session, ClusterId(UUID(entity_id)))

    cluster, token = await creating(
        request,
        call,
        lambda uow: clusters.register_cluster(
            uow, call,
            name=body.name, executor=body.executor, runtime=body.runtime, host=body.host,
            result_key=bytes.fromhex(body.result_key), gives_secrets=body.gives_secrets,
            switches_egress=body.switches_egress,
        ),
        rebuild=rebuild,
        entity_id=lambda registered: registered[0].id,
    )  # fmt: skip
    return RegisteredCluster(
        cluster=ClusterOut.model_validate(cluster), token=TokenOut.issued(token)
    )


@router.post("/clusters/{cluster_id}:retire")
async def retire_cluster(call: PlatformAdmin, request: Request, cluster_id: UUID) -> ClusterOut:
    """No run is sent there any more, and its agent claims no work. Safe to repeat."""
    async with context_of(request).database.write() as uow:
        view = await clusters.retire_cluster(uow, call, ClusterId(cluster_id))
    return ClusterOut.model_validate(view)


@router.get("/projects/{project_id}/clusters")
async def get_project_clusters(
    _: MemberReader, request: Request, project_id: UUID
) -> ProjectClustersOut:
    """Those that runs of the project may use."""
    async with context_of(request).database.read() as session:
        view = await project_clusters.get_clusters(session, ProjectId(project_id))
    return ProjectClustersOut.model_validate(view)


@router.post("/projects/{project_id}/clusters:set")
async def set_project_clusters(
    call: Overseer, request: Request, project_id: UUID, body: SetProjectClustersIn
) -> ProjectClustersOut:
    """Stops nothing that runs. Safe to repeat."""
    said = SetProjectClusters(clusters=body.clusters, revision=body.revision, reason=body.reason)
    async with context_of(request).database.write() as uow:
        view = await project_clusters.set_clusters(uow, call, ProjectId(project_id), said)
    return ProjectClustersOut.model_validate(view)


@router.get("/clusters")
async def list_clusters(_: SignedIn, request: Request) -> list[ClusterOut]:
    async with context_of(request).database.read() as session:
        found = await clusters.list_clusters(session)
    return [ClusterOut.model_validate(view) for view in found]
