"""The agent's identity as shipped: it does its work with it, and the apiserver refuses the rest.

Every line is a real call with the agent's own token; nothing is asked of `can-i`.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.dev_cluster.clusters import Cluster
from deploy.embedded.ports import Ports
from deploy.images.probe import PROBE_OUTPUT
from deploy.local.clusters import (
    AGENT_NAMESPACE,
    NAMESPACE,
    apply_grounds,
    local_grounds,
    write_agent_kubeconfig,
)
from tests.cluster.jobs import hardened_job, new_name
from tests.deploy.fakes import eventually

pytestmark = pytest.mark.cluster

PATIENCE = 30.0
MERGE = {"Content-Type": "application/merge-patch+json"}
CORE, BATCH = "/api/v1", "/apis/batch/v1"
HERE = f"/namespaces/{NAMESPACE}"
JOBS, PODS = f"{BATCH}{HERE}/jobs", f"{CORE}{HERE}/pods"
EVENTS, SECRETS = f"{CORE}{HERE}/events", f"{CORE}{HERE}/secrets"


@pytest.fixture(scope="module")
def agent(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    grounds = local_grounds(cluster, Ports())
    for _ in range(2):  # the second time nothing is to be done
        apply_grounds(grounds, cluster=cluster)
    file = tmp_path_factory.mktemp("agent") / "kubeconfig"
    write_agent_kubeconfig(file, cluster=cluster)
    assert file.stat().st_mode & 0o777 == 0o600
    with _client(file) as client:
        yield client


def _client(kubeconfig: Path) -> httpx.Client:
    """What any client makes of a kubeconfig."""
    document: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
    (cluster,), (user,) = document["clusters"], document["users"]
    assert user["user"].keys() == {"token"}, "no certificate of anybody's"
    authority = base64.b64decode(cluster["cluster"]["certificate-authority-data"]).decode()
    return httpx.Client(
        base_url=cluster["cluster"]["server"],
        verify=ssl.create_default_context(cadata=authority),
        headers={"Authorization": f"Bearer {user['user']['token']}"},
        timeout=PATIENCE,
        trust_env=False,
    )


@pytest.fixture
def job(agent: httpx.Client, image: str) -> str:
    """The name of a Job that the agent made, and whose pod has ended."""
    name = new_name()
    manifest = hardened_job(name, image)
    manifest["metadata"]["namespace"] = NAMESPACE
    assert agent.post(JOBS, json=manifest).status_code == httpx.codes.CREATED

    path = f"{JOBS}/{name}"
    eventually(lambda: agent.get(path).raise_for_status().json()["status"].get("succeeded"))
    return name


def pods_of(agent: httpx.Client, job: str) -> list[dict[str, Any]]:
    selector = {"labelSelector": f"batch.kubernetes.io/job-name={job}"}
    found: list[dict[str, Any]] = (
        agent.get(PODS, params=selector).raise_for_status().json()["items"]
    )
    return found


def complaints_about(agent: httpx.Client, job: str) -> list[str]:
    selector = {"fieldSelector": f"involvedObject.name={job},reason=FailedCreate"}
    said = agent.get(EVENTS, params=selector).raise_for_status().json()["items"]
    return [str(each["message"]) for each in said]


def watched(agent: httpx.Client, path: str) -> dict[str, Any]:
    """The first thing that a watch of everything there tells."""
    with agent.stream("GET", path, params={"watch": "1"}) as answer:
        assert answer.status_code == httpx.codes.OK
        told: dict[str, Any] = json.loads(next(answer.iter_lines()))
        return told


def test_it_makes_follows_marks_and_removes_jobs(agent: httpx.Client, job: str) -> None:
    listed = agent.get(JOBS).raise_for_status().json()["items"]
    assert job in [each["metadata"]["name"] for each in listed]
    assert watched(agent, JOBS)["object"]["kind"] == "Job"
    marked = {"metadata": {"finalizers": ["animus/outcome"], "labels": {"mark": "seen"}}}
    patched = agent.patch(f"{JOBS}/{job}", content=json.dumps(marked), headers=MERGE)
    assert patched.raise_for_status().json()["metadata"]["finalizers"] == ["animus/outcome"]
    released = json.dumps({"metadata": {"finalizers": None}})
    agent.patch(f"{JOBS}/{job}", content=released, headers=MERGE).raise_for_status()
    agent.delete(f"{JOBS}/{job}", params={"propagationPolicy": "Foreground"}).raise_for_status()
    eventually(lambda: agent.get(f"{JOBS}/{job}").status_code == httpx.codes.NOT_FOUND)


def test_it_follows_pods_reads_their_log_and_removes_them(agent: httpx.Client, job: str) -> None:
    (pod,) = pods_of(agent, job)
    name = pod["metadata"]["name"]
    assert agent.get(f"{PODS}/{name}/log").raise_for_status().text == PROBE_OUTPUT
    assert watched(agent, PODS)["object"]["kind"] == "Pod"
    agent.delete(f"{PODS}/{name}").raise_for_status()


def test_it_hears_what_the_cluster_says_of_its_jobs(agent: httpx.Client, job: str) -> None:
    said = agent.get(EVENTS, params={"fieldSelector": f"involvedObject.name={job}"})
    reasons = {each["reason"] for each in said.raise_for_status().json()["items"]}
    assert "SuccessfulCreate" in reasons
    assert watched(agent, EVENTS)["object"]["kind"] == "Event"


def test_it_makes_and_removes_secrets(agent: httpx.Client) -> None:
    name = new_name()
    secret = {"metadata": {"name": name}, "stringData": {"a": "b"}}
    assert agent.post(SECRETS, json=secret).status_code == httpx.codes.CREATED
    assert agent.post(SECRETS, json=secret).status_code == httpx.codes.CONFLICT
    agent.delete(f"{SECRETS}/{name}").raise_for_status()
    assert agent.delete(f"{SECRETS}/{name}").status_code == httpx.codes.NOT_FOUND


_POD = {
    "metadata": {"name": "own"},
    "spec": hardened_job("own", "localhost/any:1")["spec"]["template"]["spec"],
}
_ROLE = {"metadata": {"name": "more"}, "rules": [{"apiGroups": [""], "resources": ["secrets"],
                                                 "verbs": ["get"]}]}  # fmt: skip
_BINDING = {
    "metadata": {"name": "more"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
    "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}],
}
_RBAC, _NETWORKS = "/apis/rbac.authorization.k8s.io/v1", "/apis/networking.k8s.io/v1"
_ELSEWHERE = [f"/namespaces/{name}" for name in (AGENT_NAMESPACE, "default", "kube-system")]
_TOKEN = {"spec": {"expirationSeconds": 3600}}

REFUSED: list[tuple[str, str, object]] = [
    *(("GET", f"{CORE}{place}/{kind}", None)
      for place in _ELSEWHERE for kind in ("pods", "secrets", "events")),
    *(("GET", f"{BATCH}{place}/jobs", None) for place in _ELSEWHERE),
    *(("POST", f"{BATCH}{place}/jobs", hardened_job("own", "localhost/any:1"))
      for place in _ELSEWHERE),
    *(("POST", f"{CORE}{place}/secrets", {"metadata": {"name": "own"}}) for place in _ELSEWHERE),
    ("GET", f"{CORE}/pods", None),
    ("GET", f"{CORE}/secrets", None),
    ("GET", f"{BATCH}/jobs", None),
    ("GET", f"{SECRETS}/any", None),
    ("GET", SECRETS, None),
    ("DELETE", SECRETS, None),
    ("DELETE", JOBS, None),
    ("GET", f"{PODS}/any", None),
    ("PATCH", f"{PODS}/any", {}),
    ("GET", f"{SECRETS}?watch=1", None),
    ("PATCH", f"{SECRETS}/any", {}),
    ("PUT", f"{SECRETS}/any", {"metadata": {"name": "any"}}),
    ("POST", PODS, _POD),
    ("PUT", f"{PODS}/any", _POD),
    ("DELETE", PODS, None),
    ("POST", f"{PODS}/any/exec?command=id&stdout=1", None),
    ("GET", f"{PODS}/any/exec?command=id&stdout=1", None),
    ("POST", f"{PODS}/any/attach?stdout=1", None),
    ("POST", f"{PODS}/any/portforward?ports=80", None),
    ("PATCH", f"{PODS}/any/ephemeralcontainers", {}),
    ("PATCH", f"{PODS}/any/status", {}),
    ("POST", f"{PODS}/any/eviction", {}),
    ("POST", f"{PODS}/any/binding", {}),
    ("GET", f"{PODS}/any/proxy/", None),
    ("PUT", f"{JOBS}/any", hardened_job("any", "localhost/any:1")),
    ("PATCH", f"{JOBS}/any/status", {}),
    ("POST", f"{BATCH}{HERE}/cronjobs", {}),
    ("POST", f"/apis/apps/v1{HERE}/deployments", {}),
    ("POST", EVENTS, {}),
    ("DELETE", EVENTS, None),
    ("GET", f"{CORE}{HERE}/configmaps", None),
    ("GET", f"{CORE}{HERE}/serviceaccounts", None),
    ("POST", f"{CORE}{HERE}/serviceaccounts/default/token", _TOKEN),
    ("POST", f"{CORE}/namespaces/{AGENT_NAMESPACE}/serviceaccounts/animus-agent/token", _TOKEN),
    ("GET", f"{_RBAC}{HERE}/roles", None),
    ("POST", f"{_RBAC}{HERE}/roles", _ROLE),
    ("PATCH", f"{_RBAC}{HERE}/roles/animus-agent", {}),
    ("POST", f"{_RBAC}{HERE}/rolebindings", _BINDING),
    ("GET", f"{_RBAC}/clusterroles", None),
    ("POST", f"{_RBAC}/clusterrolebindings", _BINDING),
    ("DELETE", f"{_NETWORKS}{HERE}/networkpolicies/deny-all", None),
    ("POST", f"{_NETWORKS}{HERE}/networkpolicies", {}),
    ("PATCH", f"{CORE}{HERE}/resourcequotas/runs", {}),
    ("PATCH", f"{CORE}{HERE}/limitranges/runs", {}),
    ("GET", f"{CORE}/nodes", None),
    ("GET", f"{CORE}/nodes/node1/proxy/pods", None),
    ("GET", f"{CORE}/namespaces", None),
    ("POST", f"{CORE}/namespaces", {"metadata": {"name": "own"}}),
    ("PATCH", f"{CORE}/namespaces/{NAMESPACE}", {"metadata": {"labels": {}}}),
    ("DELETE", f"{CORE}/namespaces/{NAMESPACE}", None),
    ("GET", f"{CORE}/persistentvolumes", None),
    ("GET", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", None),
    ("GET", "/metrics", None),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), REFUSED, ids=lambda each: str(each)[:80])
def test_everything_else_is_refused(
    agent: httpx.Client, method: str, path: str, body: object
) -> None:
    headers = MERGE if method == "PATCH" else {"Content-Type": "application/json"}
    content = None if body is None else json.dumps(body)
    answer = agent.request(method, path, content=content, headers=headers)
    assert answer.status_code == httpx.codes.FORBIDDEN, answer.text
    assert answer.json()["reason"] == "Forbidden"
    assert "cannot" in answer.json()["message"], "by RBAC, not by what the object looks like"


def test_it_may_not_act_in_anothers_name(agent: httpx.Client) -> None:
    answer = agent.get(SECRETS, headers={"Impersonate-User": "admin"})
    assert answer.status_code == httpx.codes.FORBIDDEN
    assert "impersonate" in answer.json()["message"]


def test_a_pod_that_asks_for_nothing_gets_limits_and_no_identity(
    agent: httpx.Client, image: str
) -> None:
    name = new_name()
    manifest = hardened_job(name, image)
    manifest["metadata"]["namespace"] = NAMESPACE
    pod = manifest["spec"]["template"]["spec"]
    del pod["automountServiceAccountToken"], pod["containers"][0]["resources"]
    agent.post(JOBS, json=manifest).raise_for_status()
    eventually(lambda: pods_of(agent, name))
    made = pods_of(agent, name)[0]["spec"]
    assert made["serviceAccountName"] == "default"
    assert "volumes" not in made, "a token would be one"
    resources = made["containers"][0]["resources"]
    assert resources["limits"].keys() == {"cpu", "memory"}
    assert resources["requests"].keys() == {"cpu", "memory", "ephemeral-storage"}


def test_a_job_that_is_not_hardened_gets_no_pod(agent: httpx.Client, image: str) -> None:
    name = new_name()
    manifest = hardened_job(name, image)
    manifest["metadata"]["namespace"] = NAMESPACE
    manifest["spec"]["template"]["spec"]["containers"][0]["securityContext"] = {}
    agent.post(JOBS, json=manifest).raise_for_status()
    eventually(lambda: complaints_about(agent, name))
    assert 'violates PodSecurity "restricted' in complaints_about(agent, name)[0]
    assert pods_of(agent, name) == []
