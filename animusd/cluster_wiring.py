"""The Kubernetes executor on its real parts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from animus.adapters.chunk_uploads import ChunkUploads
from animus.adapters.gateway import Gateway
from animus.adapters.kubernetes.clients import KubernetesClient
from animus.adapters.kubernetes.executor import KubernetesExecutor
from animus.adapters.kubernetes.landlords import Landlord
from animus.adapters.kubernetes.names import Naming
from animus.adapters.kubernetes.placements import Grants
from animus.adapters.kubernetes.project_namespaces import (
    ProjectNamespaces,
    TemplateUnfit,
    read_template,
)
from animus.adapters.kubernetes.projects import ProjectsExecutor
from animus.adapters.kubernetes.reasons import Patience
from animus.adapters.kubernetes.sites import Latch, Site
from animus.adapters.kubernetes.watching import Watcher
from animus.adapters.signing import FileSigner
from animus.agent.journals import Journals
from animus.agent.live_logs import LiveLogs
from animus.domain.canonical import JsonObject
from animus.ledger.signatures import key_id
from animusd.agent_wiring import attempts_of, utc_now
from animusd.settings import AgentSection, GrantsSection, KubernetesSection, SettingsUnfit

_PROBE_SECONDS = 30
_USUAL_PORTS = {"http": 80, "https": 443}


def find_cluster(section: AgentSection) -> tuple[KubernetesClient, Site]:
    """The cluster that the settings name; nothing is asked of it yet. Raises `SettingsUnfit`."""
    told = _told(section)
    assert section.step_image is not None
    client = KubernetesClient.connect(kubeconfig=told.kubeconfig, namespace=told.namespace)
    return client, _site(section, told, step_image=section.step_image)


def landlord_of(section: AgentSection, client: KubernetesClient, site: Site) -> Landlord:
    """Of the namespaces that the agent makes; nothing is made yet. Raises `SettingsUnfit`."""
    told = _told(section)
    assert told.template is not None  # the settings say so
    try:
        namespaces = ProjectNamespaces(
            naming=site.naming, prefix=told.prefix, template=_template(told.template)
        )
    except TemplateUnfit as fault:
        raise SettingsUnfit(f"agent.kubernetes: {told.template}: {fault}") from None
    return Landlord(client=client, namespaces=namespaces)


async def connect_executor(
    section: AgentSection, gateway: Gateway
) -> KubernetesExecutor | ProjectsExecutor:
    """Where the settings say. Raises as `connect_cluster` does."""
    if _told(section).namespaces == "owned":
        return await connect_projects(section, gateway)
    return await connect_cluster(section, gateway)


async def connect_cluster(section: AgentSection, gateway: Gateway) -> KubernetesExecutor:
    """In the namespace that was given.

    Raises `SettingsUnfit`, and `Unavailable` while the cluster does not answer.
    """
    client, site = find_cluster(section)
    live = LiveLogs(ChunkUploads(gateway))
    return _executor(section, gateway, client, site, live=live, engine=await client.version())


async def connect_projects(section: AgentSection, gateway: Gateway) -> ProjectsExecutor:
    """In a namespace for each project. Raises as `connect_cluster` does."""
    client, site = find_cluster(section)
    live, engine = LiveLogs(ChunkUploads(gateway)), await client.version()

    def open_namespace(name: str) -> KubernetesExecutor:
        here = replace(site, namespace=name)
        return _executor(section, gateway, client.within(name), here, live=live, engine=engine)

    return ProjectsExecutor(
        landlord=landlord_of(section, client, site),
        open_namespace=open_namespace,
        journals=_journals(section),
        live=live,
        now=utc_now,
    )


def _executor(
    section: AgentSection,
    gateway: Gateway,
    client: KubernetesClient,
    site: Site,
    *,
    live: LiveLogs,
    engine: str,
) -> KubernetesExecutor:
    told = _told(section)
    return KubernetesExecutor(
        client=client,
        site=site,
        watcher=Watcher(client, site.naming.selector),
        journals=_journals(section),
        keep_log=gateway.store_log,
        live=live,
        engine=engine,
        now=utc_now,
        patience=Patience(
            room=timedelta(seconds=told.room_seconds), start=timedelta(seconds=told.start_seconds)
        ),
    )


def _template(file: Path) -> tuple[JsonObject, ...]:
    """Raises `TemplateUnfit`."""
    try:
        return read_template(yaml.safe_load_all(file.read_text()))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise TemplateUnfit(str(error)) from None


def _told(section: AgentSection) -> KubernetesSection:
    if section.kubernetes is None or section.step_image is None:
        raise SettingsUnfit(
            "The kubernetes executor needs the section agent.kubernetes, and agent.step_image."
        )
    return section.kubernetes


def _journals(section: AgentSection) -> Journals:
    journals = attempts_of(section)
    journals.prepare()
    return journals


def _site(section: AgentSection, told: KubernetesSection, *, step_image: str) -> Site:
    return Site(
        naming=Naming(cluster=section.cluster, agent=_agent_id(section)),
        namespace=told.namespace,
        step_image=step_image,
        gateway_url=told.gateway_url,
        store_address=told.store_address,
        image_pull_policy=told.image_pull_policy,
        pull_secrets=told.pull_secrets,
        user=told.user,
        gpu_resource=told.gpu_resource,
        latch=latch_of(told),
        grants=_grants(told.grants),
    )


def latch_of(told: KubernetesSection) -> Latch | None:
    """Raises `SettingsUnfit`."""
    if told.egress != "switched":
        return None
    return Latch(
        places=_places_of(told),
        seconds=told.latch_seconds,
        granted=frozenset(told.grants.egress),
    )


def probe_latch(section: AgentSection) -> Latch:
    """For a pod that tries whether policies are enforced, switched or not. Raises
    `SettingsUnfit`."""
    return Latch(places=_places_of(_told(section)), seconds=_PROBE_SECONDS)


def _places_of(told: KubernetesSection) -> tuple[str, ...]:
    """The api and, where it is said, the object store. Raises `SettingsUnfit`."""
    store = (told.store_address,) if told.store_address else ()
    places = told.egress_addresses or (_place_of(told.gateway_url), *store)
    for place in places:
        _check_address(place)
    return places


def _check_address(place: str) -> None:
    """A name that nobody resolves looks like a place that nobody reaches."""
    try:
        ip_address(place.rpartition(":")[0].strip("[]"))
    except ValueError:
        raise SettingsUnfit(
            f"{place!r} is a name. Say in agent.kubernetes.egress_addresses at which addresses "
            "pods reach api and object store."
        ) from None


def _place_of(url: str) -> str:
    """host:port, as addresses are written. Raises `SettingsUnfit`."""
    try:
        parts = urlsplit(url)
        if parts.port is not None:
            return parts.netloc
        return f"{parts.netloc}:{_USUAL_PORTS[parts.scheme]}"
    except (ValueError, KeyError):
        raise SettingsUnfit(f"agent.kubernetes.gateway_url: {url!r} is no URL.") from None


def _agent_id(section: AgentSection) -> str:
    try:
        return key_id(FileSigner(section.key_file).public_key)
    except OSError as error:
        raise SettingsUnfit(f"agent.key_file: {section.key_file}: {error.strerror}") from None


def _grants(told: GrantsSection) -> Grants:
    return Grants(
        node_labels=frozenset(told.node_labels),
        tolerations=frozenset(told.tolerations),
        priority_classes=frozenset(told.priority_classes),
        labels=frozenset(told.labels),
        runtime_classes=frozenset(told.runtime_classes),
    )
