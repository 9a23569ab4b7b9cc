"""Clusters: where steps run, the agent's identity there, and the key it signs results with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from animus.domain.access import PrincipalKind
from animus.domain.errors import Conflict, Forbidden, Invalid, NotFound
from animus.domain.ids import ClusterId, PrincipalId
from animus.ledger.signatures import PUBLIC_KEY_BYTES, key_id
from animus.services import agents, principals
from animus.services.agents import AgentView
from animus.services.calls import Call, record
from animus.services.principals import IssuedToken
from animus.services.secret_checks import check_texts
from animus.store import runs
from animus.store.database import ReadSession, UnitOfWork
from animus.store.new_ids import new_id
from animus.store.tables import Cluster, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    id: ClusterId
    name: str
    executor: str
    runtime: str
    host: str
    gives_secrets: bool
    switches_egress: bool
    principal_id: PrincipalId
    result_key_id: str
    created_at: datetime
    retired_at: datetime | None
    agent: AgentView | None
    """None of a retired cluster: its agent is not heard."""


async def register_cluster(  # noqa: PLR0913  # so many parts, and every one is named
    uow: UnitOfWork,
    call: Call,
    *,
    name: str,
    executor: str,
    runtime: str,
    host: str,
    result_key: bytes,
    gives_secrets: bool = False,
    switches_egress: bool = False,
) -> tuple[ClusterView, IssuedToken]:
    """A cluster with an agent account of its own and that account's token, shown once."""
    check_texts(name=name, runtime=runtime, host=host)
    if len(result_key) != PUBLIC_KEY_BYTES:
        raise Invalid("The agent's key is an Ed25519 public key: 32 raw bytes.")
    if switches_egress and executor != "kubernetes":
        raise Invalid("Only pods have a network that is switched: register it as kubernetes.")
    if await runs.find_cluster_by_name(uow, name) is not None:
        raise Conflict(f"There is a cluster {name!r} already.")
    agent = Principal(
        id=new_id(),
        kind=PrincipalKind.SERVICE,
        name=f"agent-{name}",
        display_name=f"Agent of {name}",
        person_id=call.by.person_id,
        created_by=call.by.principal_id,
    )
    cluster = Cluster(
        id=new_id(),
        name=name,
        executor=executor,
        runtime=runtime,
        host=host,
        gives_secrets=gives_secrets,
        switches_egress=switches_egress,
        principal_id=agent.id,
        result_key=result_key,
        created_by=call.by.principal_id,
    )
    uow.add(agent)
    await uow.flush()
    uow.add(cluster)
    await uow.flush()
    record(
        uow, call, "cluster.registered",
        subjects={"cluster": cluster.id, "principal": agent.id},
        payload={
            "name": name, "executor": executor, "runtime": runtime, "host": host,
            "gives_secrets": gives_secrets, "switches_egress": switches_egress,
            "result_key": key_id(result_key),
        },
    )  # fmt: skip
    token = await principals.issue_token(
        uow, call, PrincipalId(agent.id), name="agent", life=principals.LONGEST_TOKEN_LIFE
    )
    return await _view(uow, cluster), token


async def get_registered(
    session: ReadSession, cluster_id: ClusterId
) -> tuple[ClusterView, IssuedToken]:
    """What registering answered, without the secret: that was shown then, and is not kept."""
    row = await _get_row(session, cluster_id)
    first, *_ = await principals.list_tokens(session, PrincipalId(row.principal_id))
    return await _view(session, row), IssuedToken(view=first, secret=None)


async def retire_cluster(uow: UnitOfWork, call: Call, cluster_id: ClusterId) -> ClusterView:
    """From now on no run goes there and its agent claims nothing. Safe to repeat."""
    await _get_row(uow, cluster_id)
    if await runs.retire_cluster(uow, cluster_id, at=call.now):
        record(uow, call, "cluster.retired", subjects={"cluster": cluster_id})
    return await _view(uow, await _get_row(uow, cluster_id))


async def record_removal(uow: UnitOfWork, call: Call, *, removed: str) -> str:
    """Before an agent removes what belongs to no open attempt; the cluster's name.

    Written again where the agent was killed between the two: it says what it was about to do.
    """
    cluster = await runs.find_cluster_of(uow, call.by.principal_id)
    if cluster is None:
        raise Forbidden("Only a cluster's agent removes anything there.")
    record(
        uow, call, "cluster.orphan_removed",
        subjects={"cluster": cluster.id},
        payload={"removed": removed},
    )  # fmt: skip
    return cluster.name


async def list_clusters(session: ReadSession) -> Sequence[ClusterView]:
    heard = await agents.list_agents(session)
    return [_view_of(row, heard) for row in await runs.list_clusters(session)]


async def _get_row(session: ReadSession, cluster_id: ClusterId) -> Cluster:
    row = await runs.find_cluster(session, cluster_id)
    if row is None:
        raise NotFound("cluster", str(cluster_id))
    return row


async def _view(session: ReadSession, row: Cluster) -> ClusterView:
    return _view_of(row, await agents.list_agents(session))


def _view_of(row: Cluster, heard: Mapping[ClusterId, AgentView]) -> ClusterView:
    return ClusterView(
        id=ClusterId(row.id),
        name=row.name,
        executor=row.executor,
        runtime=row.runtime,
        host=row.host,
        gives_secrets=bool(row.gives_secrets),
        switches_egress=bool(row.switches_egress),
        principal_id=PrincipalId(row.principal_id),
        result_key_id=key_id(row.result_key),
        created_at=row.created_at,
        retired_at=row.retired_at,
        agent=heard.get(ClusterId(row.id)),
    )
