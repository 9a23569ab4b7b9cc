"""A second cluster beside the first: it disturbs nothing, and nothing of it stays."""

from __future__ import annotations

import signal
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.dev_cluster.cgroups import processes_in
from deploy.dev_cluster.clusters import Cluster, bring_up, take_down, temporary_cluster
from deploy.embedded.console import Console
from deploy.embedded.errors import StackError
from deploy.embedded.layout import Layout
from deploy.embedded.processes import (
    ProcessRef,
    descendants_of,
    read_ref,
    send_signal,
    still_running,
)
from deploy.images.probe import PROBE_OUTPUT
from tests.cluster.jobs import RESTRICTED, apply, run_job, start_waiting_job
from tests.cluster.traces import left_of, packet_filter_rules_of, traces_of

pytestmark = pytest.mark.cluster

PATIENCE = 30.0


def supervisor_of(cluster: Cluster) -> ProcessRef:
    supervisor = read_ref(Layout(state=cluster.config.state).supervisor)
    assert supervisor is not None
    return supervisor


def test_two_clusters_run_beside_each_other_and_the_one_that_goes_leaves_nothing(
    cluster: Cluster, image: str, archive: Path, pause_image: str, tmp_path: Path
) -> None:
    with temporary_cluster(console=Console()) as second:
        apply(second, RESTRICTED, scratch=tmp_path)
        apply(second, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apart"}},
              scratch=tmp_path)  # fmt: skip
        assert second.load_image(archive) == (image,)
        start_waiting_job(second, pause_image, scratch=tmp_path)
        assert run_job(second, image, scratch=tmp_path) == PROBE_OUTPUT
        traces = traces_of(second)
        assert run_job(cluster, image, scratch=tmp_path) == PROBE_OUTPUT
        assert "apart" not in cluster.kubectl("get", "namespaces")
        assert all(traces.values()), "each kind is looked for where there is some"
        assert packet_filter_rules_of(second) == []
    assert left_of(traces) == {}
    assert packet_filter_rules_of(second) == []
    assert not second.config.state.exists()
    assert run_job(cluster, image, scratch=tmp_path) == PROBE_OUTPUT


def test_a_network_that_another_cluster_has_is_refused(
    cluster: Cluster, image: str, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="animus-", dir="/tmp") as state:
        config = replace(cluster.config, state=Path(state))
        with pytest.raises(StackError, match=f"belongs to the cluster in {cluster.config.state}"):
            bring_up(config, console=Console())
    assert run_job(cluster, image, scratch=tmp_path) == PROBE_OUTPUT


def test_containers_outlive_the_supervisor_and_the_next_one_takes_them_over(
    cluster: Cluster, archive: Path, pause_image: str, tmp_path: Path
) -> None:
    with temporary_cluster(console=Console()) as second:
        apply(second, RESTRICTED, scratch=tmp_path)
        (image,) = second.load_image(archive)
        start_waiting_job(second, pause_image, scratch=tmp_path)
        containers = processes_in(second.config.name)
        _end_supervisor(second)
        bring_up(second.config, console=Console())
        assert processes_in(second.config.name) == containers
        assert run_job(second, image, scratch=tmp_path) == PROBE_OUTPUT

        traces = traces_of(second)
        _end_supervisor(second)
        assert left_of(traces).keys() == traces.keys()
        take_down(second.config.state)
        assert left_of(traces) == {}

        bring_up(second.config, console=Console())
        assert "restricted" in second.kubectl("get", "namespaces")
        assert run_job(second, image, scratch=tmp_path) == PROBE_OUTPUT


def _end_supervisor(cluster: Cluster) -> None:
    """kill -9: its components end with it, the containers go on."""
    supervisor = supervisor_of(cluster)
    components = descendants_of(supervisor)
    send_signal(supervisor, signal.SIGKILL)
    assert still_running([supervisor, *components], within=PATIENCE) == []
