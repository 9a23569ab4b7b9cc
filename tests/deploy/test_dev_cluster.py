"""The development cluster's parts that need no running cluster."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from deploy.dev_cluster.certificates import Pair, Subject, load_or_create_authority
from deploy.dev_cluster.configuration import NETWORK_SETTING, ClusterConfig, ClusterPorts
from deploy.dev_cluster.pause import write_pause_image
from deploy.dev_cluster.requirements import check_machine, missing_packages
from deploy.dev_cluster.sandboxes import find_sandbox
from deploy.dev_cluster.servers import ETCD, GVISOR_SHIM, KUBERNETES, VERSION
from deploy.embedded.accounts import caller
from deploy.embedded.console import Console
from deploy.embedded.errors import StackError
from deploy.embedded.servers import GVISOR, Program, Server, program_path


def test_a_cluster_is_described_by_settings_and_read_back(tmp_path: Path) -> None:
    settings = {"ANIMUS_PORT_KUBE_APISERVER": "20001", NETWORK_SETTING: "10.77.3.0/24"}
    config = ClusterConfig.from_environment(tmp_path, settings)
    assert config.ports == ClusterPorts(kube_apiserver=20001)
    assert (config.name, config.host_address) == ("animus-77-3", "10.77.3.1")
    assert ClusterConfig.from_json(tmp_path, config.to_json()) == config


@pytest.mark.parametrize("network", ["10.1.0.0/16", "192.168.1.0/24", "10.1.1.1/24", "anything"])
def test_a_network_that_does_not_fit_is_refused(tmp_path: Path, network: str) -> None:
    with pytest.raises(StackError, match=NETWORK_SETTING):
        ClusterConfig.from_environment(tmp_path, {NETWORK_SETTING: network})


def test_no_two_networks_share_a_bridge_and_every_name_fits_the_kernel(tmp_path: Path) -> None:
    networks = IPv4Network("10.0.0.0/8").subnets(new_prefix=24)
    names = [ClusterConfig(state=tmp_path, pod_network=each).name for each in networks]
    assert len(set(names)) == len(names) == 65_536
    assert max(map(len, names)) <= 15


def test_the_state_of_another_thing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="does not hold the state of a cluster"):
        ClusterConfig.from_json(tmp_path, '{"ports": {"api": 1}, "cluster": "local"}')


def test_missing_programs_are_named_by_their_packages(tmp_path: Path) -> None:
    everything = ["containerd", "containernetworking-plugins", "iproute2", "runc"]
    assert missing_packages(str(tmp_path), plugins=tmp_path) == everything


@pytest.mark.parametrize("state", [Path("/tmp", "x" * 80), Path("/tmp/with space")])
def test_a_state_directory_that_holds_no_socket_is_refused(state: Path) -> None:
    with pytest.raises(StackError, match=r"can't hold a cluster|needs root"):
        check_machine(state, console=Console(), may_install=False)


def test_the_stamped_version_is_the_pinned_one() -> None:
    assert f"require k8s.io/kubernetes {VERSION}" in " ".join(
        (KUBERNETES.source / "go.mod").read_text().split()
    ).replace("require ( ", "require ")


def test_what_the_linker_is_told_makes_another_build() -> None:
    plain = Server(name="etcd", programs=ETCD.programs, sources=ETCD.sources)
    stamped = Server(
        name="etcd", programs=ETCD.programs, sources=ETCD.sources, linker_flags=("-X a.b=c",)
    )
    assert plain.key() == ETCD.key() != stamped.key()
    assert Program(name="etcd", package="go.etcd.io/etcd/server/v3") in plain.programs


def test_what_is_ours_in_a_program_makes_another_build(tmp_path: Path) -> None:
    shutil.copytree(GVISOR_SHIM.source, tmp_path / GVISOR_SHIM.name)
    copied = replace(GVISOR_SHIM, sources=tmp_path)
    assert copied.key() == GVISOR_SHIM.key()
    with (copied.source / "main.go").open("a") as code:
        code.write("// changed\n")
    assert copied.key() != GVISOR_SHIM.key()


@pytest.mark.parametrize("built", [(), (GVISOR,), (GVISOR_SHIM,)])
def test_a_sandbox_that_is_not_wholly_built_is_not_offered(
    tmp_path: Path, built: tuple[Server, ...]
) -> None:
    for server in built:
        for program in server.programs:
            file = program_path(server, program.name, cache=tmp_path)
            file.parent.mkdir(parents=True)
            file.touch()
    assert find_sandbox(tmp_path) is None


def test_an_authority_vouches_for_what_it_signed_and_for_nothing_else(tmp_path: Path) -> None:
    ours = load_or_create_authority("ours", Pair.at(tmp_path, "ours"), readers=caller())
    theirs = load_or_create_authority("theirs", Pair.at(tmp_path, "theirs"), readers=caller())
    server = Pair.at(tmp_path, "server")
    ours.issue(Subject(name="s", calls=False, serves=("10.1.1.1",)), server, owner=caller())
    certificate = x509.load_pem_x509_certificate(server.certificate.read_bytes())
    name = x509.IPAddress(IPv4Network("10.1.1.1/32")[0])
    for authority, accepted in ((ours, True), (theirs, False)):
        verifier = PolicyBuilder().store(Store([authority.certificate]))
        if accepted:
            verifier.build_server_verifier(name).verify(certificate, [])
        else:
            with pytest.raises(VerificationError):
                verifier.build_server_verifier(name).verify(certificate, [])
    assert server.key.stat().st_mode & 0o777 == 0o600


def test_an_authority_lasts_and_a_certificate_is_good_for_one_purpose(tmp_path: Path) -> None:
    place = Pair.at(tmp_path, "authority")
    first = load_or_create_authority("one", place, readers=caller())
    again = load_or_create_authority("one", place, readers=caller())
    assert first.certificate == again.certificate
    client = Pair.at(tmp_path, "client")
    again.issue(Subject(name="c", organization="o"), client, owner=caller())
    certificate = x509.load_pem_x509_certificate(client.certificate.read_bytes())
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_the_pause_image_is_the_same_each_time_and_its_program_waits(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
        image = write_pause_image(directory)
        assert image.reference.startswith("localhost/animus-pause:")
    assert (first / "pause.tar").read_bytes() == (second / "pause.tar").read_bytes()
    program = tmp_path / "pause"
    program.write_bytes(_read_program(first / "pause.tar"))
    program.chmod(0o755)
    with subprocess.Popen([program]) as waiting:
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(0.2)
        finally:
            waiting.kill()


def _read_program(archive: Path) -> bytes:
    """The one file of the one layer: of all the blobs, the layer is a tar."""
    with tarfile.open(archive) as image:
        blobs = [found.read() for each in image if (found := image.extractfile(each))]
    (layer,) = (blob for blob in blobs if tarfile.is_tarfile(io.BytesIO(blob)))
    with tarfile.open(fileobj=io.BytesIO(layer)) as tree:
        program = tree.extractfile("pause")
        assert program
        return program.read()
