"""kill -9 of any component: the supervisor brings it back, and the node works on."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from deploy.dev_cluster.cgroups import processes_in
from deploy.dev_cluster.clusters import Cluster, bring_up
from deploy.dev_cluster.crews import NAMES
from deploy.embedded.console import Console
from deploy.embedded.lives import State
from deploy.embedded.processes import find_process, is_running, send_signal
from deploy.images.probe import PROBE_OUTPUT
from tests.cluster.jobs import pod_of, run_job

pytestmark = pytest.mark.cluster

PATIENCE = 120.0
POLL = 0.05


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_component_comes_back_and_a_job_runs(
    cluster: Cluster, image: str, tmp_path: Path, name: str
) -> None:
    killed = find_process(cluster.pid(name))
    assert killed is not None
    cluster.kill(name)
    cluster.wait_ready()
    assert not is_running(killed)
    assert run_job(cluster, image, scratch=tmp_path) == PROBE_OUTPUT


def test_a_container_outlives_containerd_and_the_kubelet(
    cluster: Cluster, waiting_job: str
) -> None:
    containers = processes_in(cluster.config.name)
    assert containers
    for name in ("containerd", "kubelet"):
        cluster.kill(name)
        cluster.wait_ready()
    assert processes_in(cluster.config.name) == containers
    (status,) = pod_of(cluster, waiting_job)["status"]["containerStatuses"]
    assert (status["ready"], status["restartCount"]) == (True, 0)


def test_up_completes_a_cluster_that_is_half_up(
    cluster: Cluster, image: str, tmp_path: Path
) -> None:
    _kill_until_given_up(cluster, "scheduler")
    subprocess.run(["ip", "link", "delete", cluster.config.name], check=True)
    bring_up(cluster.config, console=Console())
    assert run_job(cluster, image, scratch=tmp_path) == PROBE_OUTPUT


def _kill_until_given_up(cluster: Cluster, name: str) -> None:
    """A component that ends again and again is not started for ever."""
    deadline = time.monotonic() + PATIENCE
    while True:
        (found,) = (each for each in cluster.status().services if each.name == name)
        if found.state is State.FAILED:
            return
        assert time.monotonic() < deadline, f"{name} is still {found.state}"
        if found.pid is not None and (process := find_process(found.pid)):
            send_signal(process, signal.SIGKILL)
        time.sleep(POLL)
