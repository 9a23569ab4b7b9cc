"""Namespaces that the agent makes, one for each project, on a real cluster."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from animus.adapters.gateway import Gateway
from animus.adapters.kubernetes.clients import KubernetesClient
from animus.adapters.kubernetes.errors import NotAdmitted
from animus.adapters.kubernetes.landlords import NotOurs
from animus.adapters.kubernetes.projects import ProjectsExecutor
from animus.agent.execution import Agent
from animus.domain.canonical import JsonObject
from animus.domain.ids import ProjectId
from animus.domain.work_orders import AttemptResult
from animusd.agent_wiring import build_agent
from animusd.cluster_wiring import connect_projects
from animusd.settings import AgentSection
from deploy.dev_cluster.clusters import Cluster
from deploy.embedded.settings_files import Section, to_toml
from deploy.embedded.stack import Stack
from deploy.kubernetes.rendering import render_owned, render_template
from deploy.local.clusters import local_grounds, write_agent_kubeconfig
from deploy.programs import CommandFailed
from tests.agent.agents import read_result
from tests.agent.conftest import Images
from tests.agent.platforms import Order, Platform
from tests.agent.steps import python_step
from tests.cluster.execution.benches import agent_section, eventually, name_of
from tests.cluster.execution.conftest import CLUSTER
from tests.cluster.jobs import apply, apply_quota, hardened_job

pytestmark = pytest.mark.cluster

PREFIX, AGENT_NAMESPACE = "animus-p-", "landlord"
SMALL = {"cpu": "200m"}
WAIT = "import time; print('begun', flush=True); time.sleep(600)"
SAY = (
    "import os; assert not os.path.exists('/var/run/secrets/kubernetes.io')\n"
    "open('/animus/out/said', 'w').write('x')"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landlording:
    """An agent that makes namespaces, with what it is told."""

    agent: Agent
    executor: ProjectsExecutor
    section: AgentSection
    cluster: Cluster

    async def result(self, order: Order) -> AttemptResult:
        signed = await self.agent.execute(self.agent.verify(order.order, order.signature))
        return read_result(signed.document)

    async def stop(self, order: Order) -> None:
        await self.agent.stop(self.agent.verify(order.order, order.signature))

    def name_of(self, project_id: ProjectId) -> str:
        return self.executor.landlord.namespaces.name_of(str(project_id))

    def there(self, project_id: ProjectId) -> KubernetesClient:
        return self.executor.landlord.client.within(self.name_of(project_id))

    async def has_job(self, order: Order) -> bool:
        name = self.name_of(order.project_id)
        return await asyncio.to_thread(self._shows, name, order)

    def _shows(self, namespace: str, order: Order) -> bool:
        try:
            self.cluster.kubectl("get", "job", name_of(order), "--namespace", namespace)
        except CommandFailed:
            return False
        return True

    async def is_in_main(self, order: Order) -> bool:
        return await asyncio.to_thread(self._runs, self.name_of(order.project_id), order)

    def _runs(self, namespace: str, order: Order) -> bool:
        job = f"batch.kubernetes.io/job-name={name_of(order)}"
        told = self.cluster.kubectl(
            "get", "pods", "--namespace", namespace, "--selector", job, "--output", "json"
        )
        statuses = [
            status
            for pod in json.loads(told)["items"]
            for status in pod["status"].get("containerStatuses", ())
        ]
        return any("running" in status["state"] for status in statuses)


MakeLandlord = Callable[..., Awaitable[Landlording]]


@pytest.fixture(scope="module")
def landlords_kubeconfig(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an agent with the rights that are shipped for this."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as manifests:
        manifests.write(render_owned(prefix=PREFIX, agent_namespace=AGENT_NAMESPACE))
        manifests.flush()
        cluster.kubectl("apply", "--server-side", "--filename", manifests.name)
    file = tmp_path_factory.mktemp("landlord") / "kubeconfig"
    write_agent_kubeconfig(file, cluster=cluster, agent_namespace=AGENT_NAMESPACE)
    return file


@pytest.fixture(scope="module")
def template(cluster: Cluster, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    reach = local_grounds(cluster, stack.site.config.ports).reach
    file = tmp_path_factory.mktemp("template") / "namespace.yaml"
    file.write_text(render_template(agent_namespace=AGENT_NAMESPACE, reach=reach))
    return file


@pytest.fixture
def said(
    cluster: Cluster, stack: Stack, images: Images, landlords_kubeconfig: Path, home: Path,
    template: Path,
) -> dict[str, Any]:  # fmt: skip
    """The agent's settings."""
    found = agent_section(
        cluster, stack, name=CLUSTER, home=home, kubeconfig=landlords_kubeconfig, images=images
    )
    del found["kubernetes"]["namespace"]
    found["kubernetes"] |= {"namespaces": "owned", "prefix": PREFIX, "template": template}
    return found


@pytest.fixture
async def make_landlord(
    cluster: Cluster, said: dict[str, Any], tmp_path: Path
) -> AsyncIterator[MakeLandlord]:
    made: list[tuple[Landlording, Gateway]] = []

    async def make(**changes: Any) -> Landlording:
        told = said["kubernetes"] | {"room_seconds": 300, "start_seconds": 5} | changes
        state = {"state_dir": tmp_path / f"agent-{len(made)}"}
        section = AgentSection.model_validate(said | state | {"kubernetes": told})
        gateway = Gateway(section.api_url, token_file=section.token_file)
        executor = await connect_projects(section, gateway)
        agent = build_agent(section, gateway, executor=executor)
        found = Landlording(agent=agent, executor=executor, section=section, cluster=cluster)
        made.append((found, gateway))
        return found

    yield make
    for landlord, gateway in made:
        await landlord.agent.close()
        await landlord.executor.sweep(lambda _: False, _ignore)
        landlord.executor.close()
        await gateway.close()


async def _ignore(_what: str) -> None:
    """What tests leave is no affair of the audit log."""


@pytest.fixture
async def landlord(make_landlord: MakeLandlord) -> Landlording:
    return await make_landlord()


@pytest.fixture
async def neighbour(platform: Platform) -> AsyncIterator[Platform]:
    """The same engineer in another project."""
    async with httpx.AsyncClient(
        base_url=f"{platform.url}/api/v1/projects/{platform.neighbour_id}",
        headers=platform.client.headers,
        timeout=60.0,
        trust_env=False,
    ) as client:
        yield replace(platform, client=client, project_id=platform.neighbour_id)


def listed(cluster: Cluster, kind: str, namespace: str) -> list[JsonObject]:
    told = cluster.kubectl("get", kind, "--namespace", namespace, "--output", "json")
    found: list[JsonObject] = json.loads(told)["items"]
    return found


async def test_two_projects_run_at_once_each_in_a_namespace_of_its_own(
    cluster: Cluster, platform: Platform, neighbour: Platform, images: Images,
    landlord: Landlording,
) -> None:  # fmt: skip
    step = python_step(images.demo, SAY, outputs=["said"], resources=SMALL)
    orders = [await each.open_attempt(step) for each in (platform, neighbour)]
    results = await asyncio.gather(*(landlord.result(order) for order in orders))
    assert [result.failure for result in results] == [None, None]
    names = [landlord.name_of(each.project_id) for each in (platform, neighbour)]
    for order, own, other in zip(orders, names, reversed(names), strict=True):
        jobs = {name: {j["metadata"]["name"] for j in listed(cluster, "jobs", name)}
                for name in (own, other)}  # fmt: skip
        assert name_of(order) in jobs[own]
        assert name_of(order) not in jobs[other]


async def test_a_namespace_is_bounded_closed_and_without_identity(
    cluster: Cluster, platform: Platform, landlord: Landlording
) -> None:
    name = await landlord.executor.landlord.ensure(str(platform.project_id))
    labels = json.loads(cluster.kubectl("get", "namespace", name, "--output", "json"))["metadata"][
        "labels"
    ]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert labels["animus.io/project"] == str(platform.project_id)
    assert labels["animus.io/agent"] == landlord.executor.landlord.namespaces.naming.agent
    found = {
        kind: listed(cluster, kind, name)
        for kind in ("resourcequotas", "limitranges", "networkpolicies", "serviceaccounts")
    }
    assert [each["metadata"]["name"] for each in found["resourcequotas"]] == ["runs"]
    assert [each["metadata"]["name"] for each in found["limitranges"]] == ["runs"]
    policies = {each["metadata"]["name"]: each["spec"] for each in found["networkpolicies"]}
    assert policies["deny-all"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert policies["egress-store"]["podSelector"]["matchLabels"] == {"animus.io/egress": "store"}
    (account,) = found["serviceaccounts"]
    assert account["automountServiceAccountToken"] is False
    with pytest.raises(CommandFailed, match="violates PodSecurity"):
        apply_pod(cluster, name)


def apply_pod(cluster: Cluster, namespace: str) -> None:
    words = ("run", "open", "--image=localhost/any:1", "--restart=Never", "--namespace", namespace)
    cluster.kubectl(*words)


async def test_a_project_has_one_namespace_whichever_agent_asks_and_how_often(
    cluster: Cluster, platform: Platform, landlord: Landlording, make_landlord: MakeLandlord
) -> None:
    other, project = await make_landlord(), str(platform.project_id)
    asking = [each.executor.landlord.ensure(project) for each in (landlord, other, landlord)]
    (name,) = set(await asyncio.gather(*asking))
    projects = await other.executor.landlord.names()
    assert projects[project] == name
    assert len(listed(cluster, "networkpolicies", name)) == 2


async def test_another_agent_adopts_and_stops_what_runs_in_a_projects_namespace(
    neighbour: Platform, images: Images, landlord: Landlording, make_landlord: MakeLandlord
) -> None:
    order = await neighbour.open_attempt(python_step(images.demo, WAIT, resources=SMALL))
    running = asyncio.create_task(landlord.result(order))
    await eventually(lambda: landlord.is_in_main(order))
    await landlord.agent.close()
    await asyncio.wait([running])
    running.exception()
    other = await make_landlord()
    assert order.attempt_id in await other.executor.held()
    await other.stop(order)
    assert not await landlord.has_job(order)


async def test_the_heartbeats_of_every_project_say_how_far_a_log_was_handed_on(
    platform: Platform, neighbour: Platform, images: Images, landlord: Landlording
) -> None:
    step = python_step(images.demo, WAIT, resources=SMALL)
    orders = [await each.open_attempt(step) for each in (platform, neighbour)]
    running = [asyncio.create_task(landlord.result(order)) for order in orders]

    async def are_told() -> bool:
        seen = [landlord.agent.progress(order.attempt_id) for order in orders]
        return all(each is not None and each.log_offset > 0 for each in seen)

    await eventually(are_told)
    await asyncio.gather(*(landlord.stop(order) for order in orders))
    await asyncio.gather(*running, return_exceptions=True)


async def test_orphans_are_swept_in_every_namespace_and_in_no_other_installations(
    platform: Platform, neighbour: Platform, images: Images, landlord: Landlording
) -> None:
    step = python_step(images.demo, WAIT, resources=SMALL)
    orders = [await each.open_attempt(step) for each in (platform, neighbour)]
    running = [asyncio.create_task(landlord.result(order)) for order in orders]
    for order in orders:
        await eventually(lambda order=order: landlord.is_in_main(order))  # type: ignore[misc]
    await landlord.agent.close()
    await asyncio.wait(running)
    assert all(each.exception() for each in running)
    swept = await landlord.executor.sweep(lambda _: False, _ignore)
    expected = {f"job {landlord.name_of(o.project_id)}/{name_of(o)}" for o in orders}
    assert expected <= set(swept)
    assert not any([await landlord.has_job(order) for order in orders])


async def test_a_full_quota_of_one_project_is_none_of_anothers(
    cluster: Cluster, platform: Platform, neighbour: Platform, images: Images,
    make_landlord: MakeLandlord, tmp_path: Path,
) -> None:  # fmt: skip
    landlord = await make_landlord(room_seconds=2)
    full = await landlord.executor.landlord.ensure(str(neighbour.project_id))
    quota: JsonObject = {
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "full", "namespace": full},
        "spec": {"hard": {"requests.cpu": "100m"}},
    }  # fmt: skip
    apply_quota(cluster, quota, scratch=tmp_path)
    try:
        step = python_step(images.demo, "pass", resources=SMALL)
        orders = [await each.open_attempt(step) for each in (platform, neighbour)]
        results = await asyncio.gather(*(landlord.result(order) for order in orders))
    finally:
        cluster.kubectl("delete", "resourcequota", "full", "--namespace", full)
    codes = [result.failure.code if result.failure else "succeeded" for result in results]
    assert codes == ["succeeded", "quota_exceeded"]


async def test_who_is_given_a_projects_namespace_does_not_see_anothers(
    cluster: Cluster, platform: Platform, neighbour: Platform, landlord: Landlording
) -> None:
    """The rights of a project's team, and what an attacker has who takes over its pods' account."""
    own, other = [
        await landlord.executor.landlord.ensure(str(each.project_id))
        for each in (platform, neighbour)
    ]
    team = ("create", "rolebinding", "team", "--clusterrole=admin", "--group=team")
    cluster.kubectl(*team, "--namespace", own)
    try:
        member = ("--as=someone", "--as-group=team")
        cluster.kubectl("get", "jobs", "--namespace", own, *member)
        for refused in (("get", "jobs"), ("get", "secrets"), ("get", "pods")):
            with pytest.raises(CommandFailed, match="Forbidden"):
                cluster.kubectl(*refused, "--namespace", other, *member)
        for account in (f"system:serviceaccount:{own}:default",):
            for place in (own, other):
                with pytest.raises(CommandFailed, match="Forbidden"):
                    cluster.kubectl("get", "pods", "--namespace", place, f"--as={account}")
    finally:
        cluster.kubectl("delete", "rolebinding", "team", "--namespace", own)


async def test_a_namespace_that_somebody_else_made_is_refused(
    cluster: Cluster, landlord: Landlording
) -> None:
    project = "01998a7e-0000-7aaa-8aaa-00000000f00d"
    name = landlord.executor.landlord.namespaces.name_of(project)
    cluster.kubectl("create", "namespace", name)
    with pytest.raises(NotOurs, match="not made by this agent"):
        await landlord.executor.landlord.ensure(project)
    cluster.kubectl("delete", "namespace", name, "--wait=false")


async def test_nothing_more_runs_in_a_namespace_that_was_opened(
    cluster: Cluster, platform: Platform, images: Images, landlord: Landlording
) -> None:
    name = await landlord.executor.landlord.ensure(str(platform.project_id))
    level = "pod-security.kubernetes.io/enforce"
    cluster.kubectl("label", "namespace", name, f"{level}=baseline", "--overwrite")
    try:
        result = await landlord.result(
            await platform.open_attempt(python_step(images.demo, "pass", resources=SMALL))
        )
    finally:
        cluster.kubectl("label", "namespace", name, f"{level}=restricted", "--overwrite")
    assert result.failure is not None
    assert result.failure.code == "namespace_unfit"
    assert "restricted" in result.failure.message


async def test_the_agent_may_not_do_what_it_does_anywhere_but_in_namespaces_of_its_own(
    landlord: Landlording, platform: Platform
) -> None:
    client, namespaces = landlord.executor.landlord.client, landlord.executor.landlord.namespaces
    own = await landlord.executor.landlord.ensure(str(platform.project_id))
    account = await client.account()
    foreign = namespaces.namespace_of(str(platform.project_id))
    foreign["metadata"] |= {"name": "somebodys"}
    opened = namespaces.namespace_of("01998a7e-0000-7aaa-8aaa-00000000beef")
    opened["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "privileged"
    core, batch = "/api/v1", "/apis/batch/v1"
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    *_, everywhere = namespaces.contents_of("kube-system", account=account)
    *_, for_another = namespaces.contents_of(own, account="system:serviceaccount:default:default")
    for_another["metadata"]["name"] = "more"
    *_, of_admin = namespaces.contents_of(own, account=account)
    of_admin["metadata"]["name"] = "admin"
    of_admin["roleRef"]["name"] = "cluster-admin"
    job = hardened_job("own", "localhost/any:1")
    refused = [
        (f"{core}/namespaces", foreign),
        (f"{core}/namespaces", opened),
        (f"{rbac}/namespaces/kube-system/rolebindings", everywhere),
        (f"{rbac}/namespaces/{own}/rolebindings", for_another),
        (f"{rbac}/namespaces/{own}/rolebindings", of_admin),
        (f"{rbac}/clusterrolebindings", of_admin),
        (f"{batch}/namespaces/kube-system/jobs", job),
        (f"{core}/namespaces/kube-system/secrets", {"metadata": {"name": "x"}}),
        (f"{core}/namespaces/{own}/pods", job["spec"]["template"]),
    ]
    for path, manifest in refused:
        unplaced = manifest | {"metadata": {**manifest.get("metadata", {})}}
        unplaced["metadata"].pop("namespace", None)
        with pytest.raises(NotAdmitted):
            await client.try_object(path, unplaced)


def doctor(landlord: Landlording) -> subprocess.CompletedProcess[str]:
    section, told = landlord.section, landlord.section.kubernetes
    assert told is not None
    assert section.step_image is not None
    agent: Section = {
        "cluster": section.cluster, "api_url": section.api_url, "executor": "kubernetes",
        "token_file": str(section.token_file), "key_file": str(section.key_file),
        "work_order_public_key_file": str(section.work_order_public_key_file),
        "state_dir": str(section.state_dir), "step_image": section.step_image,
        "kubernetes": {
            "kubeconfig": str(told.kubeconfig), "namespaces": "owned", "prefix": told.prefix,
            "template": str(told.template), "gateway_url": told.gateway_url,
        },
    }  # fmt: skip
    file = section.state_dir.parent / "agent.toml"
    file.write_text(
        to_toml(
            {
                "agent": agent,
                "temporal": {"address": "127.0.0.1:1", "namespace": f"none-{agent['cluster']}"},
            }
        )
    )
    command = [sys.executable, "-m", "animusd", "doctor", "cluster", "--settings", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_doctor_finds_what_is_shipped_fit(platform: Platform, landlord: Landlording) -> None:
    await landlord.executor.landlord.ensure(str(platform.project_id))
    ran = await asyncio.to_thread(doctor, landlord)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "can't bind its role in kube-system" in ran.stdout
    assert "The Job of an attempt is taken as it is" in ran.stdout
    assert "  !" not in ran.stdout


@pytest.fixture
def without_bounds(cluster: Cluster, tmp_path: Path) -> Iterator[None]:
    """A cluster whose administrator left the admission policy out."""
    binding = ("validatingadmissionpolicybinding", "animus-landlord")
    kept = json.loads(cluster.kubectl("get", *binding, "--output", "json"))
    cluster.kubectl("delete", *binding)
    yield
    kept["metadata"] = {"name": kept["metadata"]["name"]}
    apply(cluster, kept, scratch=tmp_path)


@pytest.mark.usefixtures("without_bounds")
async def test_doctor_says_that_nothing_bounds_the_agent(landlord: Landlording) -> None:
    """An api server goes by the old policies for a moment."""

    async def is_said() -> bool:
        ran = await asyncio.to_thread(doctor, landlord)
        return ran.returncode == 1 and "the admission policy is not in force" in ran.stdout

    await eventually(is_said)
