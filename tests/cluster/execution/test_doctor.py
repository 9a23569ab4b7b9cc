"""`animusd doctor cluster`, as a person runs it: what is fit, and what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.dev_cluster.clusters import Cluster
from deploy.embedded.settings_files import Section, to_toml
from deploy.local.clusters import NAMESPACE
from tests.agent.conftest import Images
from tests.cluster.execution.benches import USER, ClusterBench

pytestmark = pytest.mark.cluster


def doctor(
    bench: ClusterBench, images: Images, *words: str, namespace: str = NAMESPACE, **more: str
) -> subprocess.CompletedProcess[str]:
    section = bench.section
    assert section.kubernetes is not None
    agent: Section = {
        "cluster": section.cluster, "api_url": section.api_url, "executor": "kubernetes",
        "token_file": str(section.token_file), "key_file": str(section.key_file),
        "work_order_public_key_file": str(section.work_order_public_key_file),
        "state_dir": str(section.state_dir), "step_image": images.step,
        "kubernetes": {
            "kubeconfig": str(section.kubernetes.kubeconfig), "namespace": namespace,
            "gateway_url": section.kubernetes.gateway_url,
            "store_address": str(section.kubernetes.store_address),
            "image_pull_policy": "Never", "user": USER, **more,
        },
    }  # fmt: skip
    file = section.state_dir.parent / "agent.toml"
    temporal: Section = {"address": "127.0.0.1:1", "namespace": f"none-{agent['cluster']}"}
    file.write_text(to_toml({"agent": agent, "temporal": temporal}))
    command = [sys.executable, "-m", "animusd", "doctor", "cluster", "--settings", str(file)]
    return subprocess.run([*command, *words], capture_output=True, text=True, check=False)


def test_a_namespace_as_it_is_shipped_is_fit(bench: ClusterBench, images: Images) -> None:
    ran = doctor(bench, images)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "!" not in ran.stdout
    assert json.loads(doctor(bench, images, "--json").stdout)["fit"] is True


def test_what_is_missing_is_printed_and_helps_when_it_is_applied(
    cluster: Cluster, bench: ClusterBench, images: Images, tmp_path: Path
) -> None:
    cluster.kubectl("create", "namespace", "bare")
    ran = doctor(bench, images, namespace="bare")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    said, _, printed = ran.stdout.partition("# What the agent needs")
    assert "may not create, get, list, watch, patch, delete jobs" in said
    manifests = tmp_path / "missing.yaml"
    manifests.write_text(f"#{printed}")
    assert [each["kind"] for each in yaml.safe_load_all(manifests.read_text())] == [
        "Role", "RoleBinding",
    ]  # fmt: skip
    cluster.kubectl("apply", "--filename", str(manifests))
    again = doctor(bench, images, namespace="bare")
    assert again.returncode == 0, again.stdout + again.stderr


def test_an_administrators_kubeconfig_is_too_much(
    cluster: Cluster, bench: ClusterBench, images: Images
) -> None:
    assert bench.section.kubernetes is not None
    mighty = bench.section.kubernetes.model_copy(update={"kubeconfig": cluster.kubeconfig})
    section = bench.section.model_copy(update={"kubernetes": mighty})
    ran = doctor(ClusterBench(agent=bench.agent, section=section, executor=bench.executor), images)
    assert ran.returncode == 1
    assert "may get secrets, which it has no need of" in ran.stdout
