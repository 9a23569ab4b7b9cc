"""The cluster is real: it comes up, runs hardened Jobs, and is found by whoever starts it again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.dev_cluster.cgroups import processes_in
from deploy.dev_cluster.clusters import Cluster
from deploy.dev_cluster.crews import NAMES
from deploy.dev_cluster.servers import VERSION
from deploy.dev_cluster.sites import NODE
from deploy.embedded.configuration import CHECKOUT
from deploy.images.probe import PROBE_OUTPUT
from deploy.programs import CommandFailed
from tests.cluster.jobs import ANY_UID, NAMESPACE, apply, hardened_job, new_name, pod_of, run_job

pytestmark = pytest.mark.cluster


def command_line(command: str, state: Path, *arguments: str, code: int = 0) -> str:
    program = [sys.executable, "-m", "deploy.dev_cluster", command, "--state", str(state)]
    ran = subprocess.run(
        [*program, *arguments], cwd=CHECKOUT, env=os.environ, capture_output=True, text=True
    )
    assert ran.returncode == code, ran.stderr
    return ran.stdout + ran.stderr


def test_the_node_is_ready_and_of_the_pinned_version(cluster: Cluster) -> None:
    node = json.loads(cluster.kubectl("get", "node", NODE, "--output", "json"))
    conditions = {each["type"]: each["status"] for each in node["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert node["status"]["nodeInfo"]["kubeletVersion"] == VERSION
    version = json.loads(cluster.kubectl("version", "--output", "json"))
    assert version["serverVersion"]["gitVersion"] == VERSION


def test_a_hardened_job_runs_to_its_end(cluster: Cluster, image: str, tmp_path: Path) -> None:
    assert run_job(cluster, image, scratch=tmp_path) == PROBE_OUTPUT


def test_a_job_runs_the_image_of_that_digest_and_no_other(
    cluster: Cluster, image: str, tmp_path: Path
) -> None:
    wrong = f"{image.partition('@')[0]}@sha256:{'0' * 64}"
    name = new_name()
    apply(cluster, hardened_job(name, wrong), scratch=tmp_path)
    selector = f"batch.kubernetes.io/job-name={name}"
    reason = "{.status.containerStatuses[0].state.waiting.reason}"
    cluster.kubectl(
        *("wait", "pod", "--namespace", NAMESPACE, "--selector", selector),
        *(f"--for=jsonpath={reason}=ErrImageNeverPull", "--timeout=100s"),
    )


def test_the_namespace_refuses_what_is_not_hardened(
    cluster: Cluster, image: str, tmp_path: Path
) -> None:
    pod = hardened_job(new_name(), image)["spec"]["template"]["spec"]
    pod["securityContext"] = {"runAsUser": 0}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": new_name(), "namespace": NAMESPACE},
        "spec": pod,
    }
    with pytest.raises(CommandFailed, match=r'violates PodSecurity "restricted'):
        apply(cluster, manifest, scratch=tmp_path)


def test_a_container_runs_as_the_uid_it_was_given_and_in_the_clusters_own_cgroup(
    cluster: Cluster, waiting_job: str
) -> None:
    assert pod_of(cluster, waiting_job)["status"]["phase"] == "Running"
    owners = {
        Path(f"/proc/{process.pid}").stat().st_uid for process in processes_in(cluster.config.name)
    }
    assert owners == {ANY_UID}


def test_up_finds_the_cluster_that_runs(cluster: Cluster) -> None:
    before = {name: cluster.pid(name) for name in NAMES}
    said = command_line("up", cluster.config.state)
    assert str(cluster.kubeconfig) in said
    assert {name: cluster.pid(name) for name in NAMES} == before


def test_status_names_every_component(cluster: Cluster) -> None:
    told = json.loads(command_line("status", cluster.config.state, "--json"))
    assert {each["name"]: each["state"] for each in told["services"]} == dict.fromkeys(
        NAMES, "ready"
    )
    assert "no cluster runs" in command_line("status", Path("/tmp/no-such-cluster"), code=3)


def test_load_prints_the_same_reference_each_time(
    cluster: Cluster, archive: Path, image: str
) -> None:
    for _ in range(2):
        assert command_line("load", cluster.config.state, str(archive)) == f"{image}\n"


def test_load_says_what_is_wrong_with_an_archive(cluster: Cluster, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no archive")
    assert "can't import" in command_line("load", cluster.config.state, str(broken), code=1)
