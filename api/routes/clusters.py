"""Clusters: registering where steps run, and the agent that runs them."""

from __future__ import annotations

from fastapi import APIRouter, Request

from animus.services import clusters
from api.callers import PlatformAdmin, SignedIn
from api.context import context_of
from api.requests import StrictRoute
from api.schemas.access import ClusterOut, RegisterCluster, RegisteredCluster, TokenOut

router = APIRouter(tags=["clusters"], route_class=StrictRoute)


@router.post("/clusters", status_code=201)
async def register_cluster(
    call: PlatformAdmin, request: Request, body: RegisterCluster
) -> RegisteredCluster:
    """The agent's account and token, shown once; results are verified with `result_key`."""
    async with context_of(request).database.write() as uow:
        cluster, token = await clusters.register_cluster(
            uow, call,
            name=body.name, executor=body.executor, runtime=body.runtime, host=body.host,
            result_key=bytes.fromhex(body.result_key),
        )  # fmt: skip
    return RegisteredCluster(
        cluster=ClusterOut.model_validate(cluster), token=TokenOut.issued(token)
    )


@router.get("/clusters")
async def list_clusters(_: SignedIn, request: Request) -> list[ClusterOut]:
    async with context_of(request).database.read() as session:
        found = await clusters.list_clusters(session)
    return [ClusterOut.model_validate(view) for view in found]
