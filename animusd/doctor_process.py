"""`animusd doctor`: whether what an agent works with is fit; what is missing in its cluster is
printed as manifests. And whether the worker can tell people."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, replace
from pathlib import Path

import yaml

from animus.adapters.findings import Finding
from animus.adapters.kubernetes.clients import KubernetesClient
from animus.adapters.kubernetes.examination import examine, role_manifests
from animus.adapters.kubernetes.landlord_examination import examine_landlord
from animus.adapters.kubernetes.landlords import Landlord
from animus.adapters.kubernetes.probing import probe
from animus.adapters.kubernetes.sites import Site
from animus.adapters.secret_stores.examination import examine as examine_store
from animusd.cluster_wiring import find_cluster, landlord_of, probe_latch
from animusd.notification_examination import examine_post
from animusd.secret_wiring import open_secret_store
from animusd.settings import AgentSettings, NotifierSettings, SettingsUnfit, read_settings


def examine_cluster(settings_file: Path | None, *, as_json: bool, probes: bool) -> bool:
    """Whether the cluster is fit. Prints each finding as it is made; changes nothing, unless it
    `probes`: then two pods try what they reach, and are removed."""
    settings = read_settings(AgentSettings, settings_file)
    return asyncio.run(_examine_cluster(settings, as_json=as_json, probes=probes))


def examine_secrets(settings_file: Path | None, *, as_json: bool) -> bool:
    """Whether the agent reaches its secret store. No value is asked for."""
    settings = read_settings(AgentSettings, settings_file)
    return asyncio.run(_examine_secrets(settings, as_json=as_json))


def examine_notifications(settings_file: Path | None, *, as_json: bool) -> bool:
    """Whether people can be told. Logs in at the mail server, and sends nothing."""
    settings = read_settings(NotifierSettings, settings_file)
    if settings.notifications is None:
        raise SettingsUnfit("These settings have no section notifications: nobody is told.")
    return asyncio.run(_tell(examine_post(settings.notifications), as_json=as_json))


async def _examine_cluster(settings: AgentSettings, *, as_json: bool, probes: bool) -> bool:
    client, site = find_cluster(settings.agent)
    told = settings.agent.kubernetes
    owns = told is not None and told.namespaces == "owned"
    landlord = landlord_of(settings.agent, client, site) if owns else None
    found = examine_landlord(landlord, site) if landlord is not None else examine(client, site)
    tried = [_probe(settings, client, site, landlord)] if probes else []
    is_fit = await _tell(found, *tried, as_json=as_json)
    if is_fit or as_json:
        return is_fit
    if landlord is not None:
        sys.stdout.write(_ASK_FOR.format(prefix=landlord.namespaces.prefix))
    else:
        manifests = role_manifests(site, await client.account())
        sys.stdout.write("\n# What the agent needs, for the cluster's administrator to apply:\n")
        sys.stdout.write(yaml.safe_dump_all(manifests, sort_keys=False))
    return is_fit


async def _examine_secrets(settings: AgentSettings, *, as_json: bool) -> bool:
    store = open_secret_store(settings.agent)
    if store is None:
        raise SettingsUnfit("These settings name no secret store: see agent.secrets.")
    try:
        return await _tell(examine_store(store), as_json=as_json)
    finally:
        await store.close()


async def _tell(*found: AsyncIterator[Finding], as_json: bool) -> bool:
    """Print them, one after another; whether none is a fault."""
    findings = []
    async for finding in _one_after_another(found):
        findings.append(finding)
        if not as_json:
            sys.stdout.write(f"{'  !' if finding.is_fault else ' ok'}  {finding.said}\n")
    is_fit = not any(finding.is_fault for finding in findings)
    if as_json:
        sys.stdout.write(_document(findings, is_fit=is_fit))
    return is_fit


async def _probe(
    settings: AgentSettings, client: KubernetesClient, site: Site, landlord: Landlord | None
) -> AsyncIterator[Finding]:
    """In the namespace that was given, or in the first of a project."""
    latch, namespace = probe_latch(settings.agent), site.namespace
    if landlord is not None:
        namespace = next(iter((await landlord.names()).values()), "")
    if not namespace:
        said = "No project has a namespace yet: what its pods reach could not be tried."
        yield Finding(is_fault=False, said=said)
        return
    async for finding in probe(client.within(namespace), replace(site, namespace=namespace), latch):
        yield finding


async def _one_after_another(found: Iterable[AsyncIterator[Finding]]) -> AsyncIterator[Finding]:
    for some in found:
        async for finding in some:
            yield finding


_ASK_FOR = """
# What the agent needs, for the cluster's administrator to apply, is printed by:
# python -m deploy.kubernetes render-owned --prefix {prefix} --agent-namespace NAMESPACE
"""


def _document(findings: list[Finding], *, is_fit: bool) -> str:
    said = {"fit": is_fit, "findings": [asdict(finding) for finding in findings]}
    return json.dumps(said, indent=2) + "\n"
