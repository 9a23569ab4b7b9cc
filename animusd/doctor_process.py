"""`animusd doctor cluster`: whether the agent's cluster is fit; as manifests what is missing."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path

import yaml

from animus.adapters.kubernetes.examination import Finding, examine, role_manifests
from animus.adapters.kubernetes.landlord_examination import examine_landlord
from animusd.cluster_wiring import find_cluster, landlord_of
from animusd.settings import AgentSettings, read_settings


def examine_cluster(settings_file: Path | None, *, as_json: bool) -> bool:
    """Whether the cluster is fit. Prints each finding as it is made; changes nothing."""
    settings = read_settings(AgentSettings, settings_file)
    return asyncio.run(_examine(settings, as_json=as_json))


async def _examine(settings: AgentSettings, *, as_json: bool) -> bool:
    client, site = find_cluster(settings.agent)
    told = settings.agent.kubernetes
    owns = told is not None and told.namespaces == "owned"
    landlord = landlord_of(settings.agent, client, site) if owns else None
    found = examine_landlord(landlord, site) if landlord is not None else examine(client, site)
    findings = []
    async for finding in found:
        findings.append(finding)
        if not as_json:
            sys.stdout.write(f"{'  !' if finding.is_fault else ' ok'}  {finding.said}\n")
    is_fit = not any(finding.is_fault for finding in findings)
    if as_json:
        sys.stdout.write(_document(findings, is_fit=is_fit))
    elif landlord is not None and not is_fit:
        sys.stdout.write(_ASK_FOR.format(prefix=landlord.namespaces.prefix))
    elif not is_fit:
        manifests = role_manifests(client.namespace, await client.account())
        sys.stdout.write("\n# What the agent needs, for the cluster's administrator to apply:\n")
        sys.stdout.write(yaml.safe_dump_all(manifests, sort_keys=False))
    return is_fit


_ASK_FOR = """
# What the agent needs, for the cluster's administrator to apply, is printed by:
# python -m deploy.kubernetes render-owned --prefix {prefix} --agent-namespace NAMESPACE
"""


def _document(findings: list[Finding], *, is_fit: bool) -> str:
    said = {"fit": is_fit, "findings": [asdict(finding) for finding in findings]}
    return json.dumps(said, indent=2) + "\n"
