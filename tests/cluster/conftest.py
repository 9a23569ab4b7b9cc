"""One real cluster for all tests of a session, with a small image loaded into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.dev_cluster.clusters import Cluster, temporary_cluster
from deploy.dev_cluster.pause import write_pause_image
from deploy.embedded.console import Console
from deploy.images.archives import write_archive
from deploy.images.probe import write_probe_image
from tests.cluster.jobs import NAMESPACE, RESTRICTED, apply, start_waiting_job


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with temporary_cluster(console=Console()) as cluster:
        apply(cluster, RESTRICTED, scratch=tmp_path_factory.mktemp("namespace"))
        yield cluster


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that prints one word, as an OCI archive."""
    scratch = tmp_path_factory.mktemp("image")
    target = scratch / "probe.tar"
    write_archive(write_probe_image(scratch), target)
    return target


@pytest.fixture(scope="session")
def image(cluster: Cluster, archive: Path) -> str:
    """The reference, by digest, of that image in the cluster."""
    (reference,) = cluster.load_image(archive)
    return reference


@pytest.fixture(scope="session")
def pause_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image that each cluster has, whose program waits for ever."""
    return write_pause_image(tmp_path_factory.mktemp("pause")).reference


@pytest.fixture
def waiting_job(cluster: Cluster, pause_image: str, tmp_path: Path) -> Iterator[str]:
    """A Job whose container runs."""
    name = start_waiting_job(cluster, pause_image, scratch=tmp_path)
    yield name
    cluster.kubectl("delete", "job", "--namespace", NAMESPACE, name, "--cascade=foreground")
