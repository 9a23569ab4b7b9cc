"""Quotas set by the platform's administrator, through the service that does it."""

from __future__ import annotations

from animus.domain.quotas import Written
from animus.services import clusters, quotas
from animus.services.quotas import LimitsView, SetLimits
from tests.support.people import Team
from tests.support.platforms import Platform


async def limit_project(platform: Platform, team: Team, limits: Written) -> LimitsView:
    call = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        seen = await quotas.get_quota(uow, team.project_id)
        said = SetLimits(limits=limits, revision=seen.revision, reason="test")
        return await quotas.set_quota(uow, call, team.project_id, said)


async def limit_cluster(platform: Platform, limits: Written) -> LimitsView:
    """The cluster of the tests."""
    call = await platform.call(platform.admin)
    async with platform.api.write() as uow:
        found = await clusters.list_clusters(uow)
        (cluster_id,) = [one.id for one in found if one.name == platform.cluster.name]
        seen = await quotas.get_capacity(uow, cluster_id)
        said = SetLimits(limits=limits, revision=seen.revision, reason="test")
        return await quotas.set_capacity(uow, call, cluster_id, said)
