"""Finding a container engine: with real ones, and with programs that behave as bad ones do."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from animus.adapters.container.phases import Naming
from animus.domain.execution_names import AGENT_LENGTH
from animus.ledger.signatures import key_id
from deploy.embedded.configuration import StackConfig
from deploy.embedded.console import Console
from deploy.embedded.engine import Engine, EngineKind, EngineUnavailable, get_engine, purge
from deploy.embedded.engine.description import current_boot_id
from deploy.embedded.engine.storage import AGENT_LABEL, get_storage
from deploy.embedded.errors import StackError
from deploy.embedded.locks import is_locked, share
from deploy.embedded.ports import free_ports
from deploy.embedded.servers import GVISOR, is_built, program_path
from deploy.embedded.stack import Stack
from deploy.images.layouts import ImageLayout
from deploy.images.loading import is_loaded, load
from deploy.images.probe import PROBE_OUTPUT, write_probe_image
from deploy.local.platform import find_agent_mark

ENGINE = Engine(
    kind=EngineKind.PODMAN,
    version="4.3.1",
    argv=("env", "CONTAINERS_CONF=/c", "/usr/bin/podman", "--root", "/r"),
    run_options=("--ulimit", "nofile=1024:1024"),
    runtime="runc",
    runtime_version="1.1.5",
    rootless=False,
    boot_id=current_boot_id(),
)

BROKEN_PODMAN = """\
echo 'Error: the disk is on fire' >&2
exit 125
"""

PODMAN_THAT_FORGETS_LIMITS = """\
case " $* " in
  *" info "*) echo '{}' ;;
  *" run "*) echo animus; echo 'Resource limits are not supported and ignored' >&2 ;;
esac
"""

DOCKER = """\
case " $* " in
  *" --version "*) echo 'Docker version 29.0.0' ;;
  *" info "*) cat <<'INFO'
{"ServerVersion": "29.0.0", "DefaultRuntime": "runc", "RuncCommit": {"ID": "v1.2.5"},
 "SecurityOptions": ["name=seccomp"], "DriverStatus": [["driver-type", "STORE"]]}
INFO
  ;;
  *" load "*) cat > /dev/null ;;
  *" run "*) echo animus ;;
esac
"""
CONTAINERD_DOCKER = DOCKER.replace("STORE", "io.containerd.snapshotter.v1")
CLASSIC_DOCKER = DOCKER.replace("STORE", "overlay2")

Programs = Callable[..., str]


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """Makes a directory with shell scripts of these names; the rest of the machine is not seen."""
    directory = tmp_path / "bin"
    directory.mkdir()

    def make(**scripts: str) -> str:
        for name, script in scripts.items():
            program = directory / name.replace("_", "-")
            program.write_text(f"#!/bin/sh\n{script}")
            program.chmod(0o755)
        return str(directory)

    return make


@pytest.fixture
def console() -> Console:
    return Console(io.StringIO(), terminal=False)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    cache = tmp_path / "cache"
    yield cache
    subprocess.run(["rm", "-rf", str(get_storage(cache).until_reboot)], check=True)


def refusal(cache: Path, *, search: str, console: Console, may_install: bool = False) -> str:
    file = cache / "engine.json"
    with pytest.raises(EngineUnavailable) as refused:
        get_engine(file, console=console, may_install=may_install, cache=cache, search=search)
    assert not file.exists()
    return str(refused.value)


def test_a_description_survives_its_file() -> None:
    assert Engine.from_json(ENGINE.to_json()) == ENGINE


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "lxc"}'])
def test_a_damaged_description_says_what_to_do(text: str) -> None:
    with pytest.raises(StackError, match="Delete the file"):
        Engine.from_json(text)


def test_without_an_engine_the_command_that_installs_one_is_named(
    cache: Path, programs: Programs, console: Console
) -> None:
    message = refusal(cache, search=programs(), console=console)

    assert "not installed" in message
    assert "apt-get install --yes --no-install-recommends podman runc" in message


def test_what_each_engine_said_is_passed_on(
    cache: Path, programs: Programs, console: Console
) -> None:
    search = programs(podman=BROKEN_PODMAN, runc="", docker=CLASSIC_DOCKER)

    message = refusal(cache, search=search, console=console)

    assert "the disk is on fire" in message
    assert "containerd-snapshotter" in message


def test_an_engine_that_ignores_limits_is_refused(
    cache: Path, programs: Programs, console: Console
) -> None:
    search = programs(podman=PODMAN_THAT_FORGETS_LIMITS, runc="")

    message = refusal(cache, search=search, console=console)

    assert "without the limits" in message


def test_podman_under_the_name_of_docker_is_not_taken_for_docker(
    cache: Path, programs: Programs, console: Console
) -> None:
    search = programs(docker="echo podman version 4.3.1")

    assert "podman under another name" in refusal(cache, search=search, console=console)


def test_a_docker_that_keeps_manifest_digests_is_used(
    cache: Path, programs: Programs, console: Console
) -> None:
    search = programs(podman=BROKEN_PODMAN, docker=CONTAINERD_DOCKER)

    engine = get_engine(cache / "engine.json", console=console, cache=cache, search=search)

    assert (engine.kind, engine.version) == (EngineKind.DOCKER, "29.0.0")
    assert (engine.runtime, engine.runtime_version) == ("runc", "v1.2.5")


def test_an_engine_that_apt_can_bring_is_installed(
    cache: Path, programs: Programs, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = programs(packaged_docker=CONTAINERD_DOCKER, sudo='shift; exec "$@"')
    programs(
        apt_get=f'case "$*" in *install*podman*) cp {search}/packaged-docker {search}/docker;; esac'
    )
    monkeypatch.setenv("PATH", f"{search}:/usr/bin:/bin")

    engine = get_engine(cache / "engine.json", console=console, cache=cache, search=search)

    assert engine.kind is EngineKind.DOCKER


def test_what_apt_said_is_passed_on(
    cache: Path, programs: Programs, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = programs(apt_get="echo 'E: no route to the mirror' >&2; exit 100", sudo='shift; "$@"')
    monkeypatch.setenv("PATH", f"{search}:/usr/bin:/bin")

    message = refusal(cache, search=search, console=console, may_install=True)

    assert "no route to the mirror" in message


def test_nothing_is_installed_where_that_is_not_allowed(
    cache: Path, programs: Programs, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = programs(apt_get=f"touch {cache}/installed", sudo='shift; "$@"')
    monkeypatch.setenv("PATH", f"{search}:/usr/bin:/bin")

    refusal(cache, search=search, console=console, may_install=False)

    assert not (cache / "installed").exists()


def test_what_was_found_holds_for_this_boot(
    cache: Path, programs: Programs, console: Console
) -> None:
    file = cache / "engine.json"
    search = programs(docker=CONTAINERD_DOCKER)
    found = get_engine(file, console=console, cache=cache, search=search)
    Path(search, "docker").unlink()

    again = get_engine(file, console=console, cache=cache, search=search, may_install=False)

    assert again == found


def test_what_an_earlier_boot_found_is_probed_again(
    cache: Path, programs: Programs, console: Console
) -> None:
    file = cache / "engine.json"
    search = programs(docker=CONTAINERD_DOCKER)
    found = get_engine(file, console=console, cache=cache, search=search)
    file.write_text(dataclasses.replace(found, boot_id="another").to_json())
    Path(search, "docker").unlink()

    with pytest.raises(EngineUnavailable):
        get_engine(file, console=console, cache=cache, search=search, may_install=False)


def test_what_was_found_for_another_set_up_is_probed_again(
    cache: Path, programs: Programs, console: Console
) -> None:
    """Such as by the version before, which knew no sandbox."""
    file = cache / "engine.json"
    search = programs(docker=CONTAINERD_DOCKER)
    found = get_engine(file, console=console, cache=cache, search=search)
    older = dataclasses.asdict(dataclasses.replace(ENGINE))
    del older["sandbox"], older["cgroup_manager"]
    file.write_text(json.dumps(older))
    assert get_engine(file, console=console, cache=cache, search=search) == found


def test_an_engine_without_gvisor_says_so_and_is_used(cache: Path, programs: Programs) -> None:
    said = io.StringIO()
    engine = get_engine(
        cache / "engine.json", console=Console(said), cache=cache,
        search=programs(docker=CONTAINERD_DOCKER),
    )  # fmt: skip
    assert (engine.sandbox, engine.best_runtime) == (None, "runc")
    assert "no gVisor here, steps will run under runc" in said.getvalue()


def test_run_files_of_an_earlier_boot_are_removed(cache: Path) -> None:
    storage = get_storage(cache)
    storage.prepare()
    left = storage.until_reboot / "tmp" / "alive"
    left.parent.mkdir(parents=True)
    left.touch()
    storage.prepare()
    assert left.exists()

    (storage.home / "boot-id").write_text("another")
    storage.prepare()

    assert not left.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root leaves mounts there")
def test_mounts_of_a_cache_that_was_deleted_are_no_obstacle_to_a_new_one(cache: Path) -> None:
    """As after `rm -rf` of the cache while the machine runs on: the boot's mark went with it."""
    storage = get_storage(cache)
    left = storage.until_reboot / "runsc" / "null-netns"
    left.parent.mkdir(parents=True)
    left.touch()
    subprocess.run(["mount", "--bind", "/proc/self/ns/net", str(left)], check=True)

    storage.prepare()

    assert not left.exists()


def test_run_directories_are_short_enough_for_podman(tmp_path: Path) -> None:
    longest = 50
    storage = get_storage(tmp_path / ("a" * 80))

    options = storage.podman_options()

    assert len(options[options.index("--runroot") + 1]) <= longest


@pytest.fixture(scope="module")
def real_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of its own whose path has what breaks image names: capitals and underscores."""
    cache = tmp_path_factory.mktemp("Cache_") / "Animus__"
    yield cache
    file = cache / "engine.json"
    if file.exists():
        purge(Engine.from_json(file.read_text()), cache=cache)


@pytest.fixture(scope="module")
def engine(real_cache: Path) -> Engine:
    quiet = Console(io.StringIO(), terminal=False)
    return get_engine(real_cache / "engine.json", console=quiet, cache=real_cache)


@pytest.fixture(scope="module")
def probe(engine: Engine, real_cache: Path) -> ImageLayout:
    scratch = real_cache / "Probe_"
    scratch.mkdir()
    image = write_probe_image(scratch)
    load(image, engine=engine)
    return image


@pytest.mark.engine
def test_the_engine_of_this_machine_runs_an_image_by_its_digest(
    engine: Engine, probe: ImageLayout
) -> None:
    run = engine.command("run", "--rm", "--pull=never", *engine.run_options, probe.reference)
    assert subprocess.check_output(run, text=True) == PROBE_OUTPUT


@pytest.mark.engine
def test_another_digest_is_refused(engine: Engine, probe: ImageLayout) -> None:
    other = dataclasses.replace(probe, manifest_digest="sha256:" + "0" * 64)
    run = engine.command("run", "--rm", "--pull=never", *engine.run_options, other.reference)

    assert not is_loaded(other, engine=engine)
    assert subprocess.run(run, capture_output=True).returncode != 0


@pytest.mark.engine
def test_processes_can_find_the_engine_and_use_it_at_the_same_time(
    engine: Engine, probe: ImageLayout, real_cache: Path
) -> None:
    script = f"""
import io, subprocess
from pathlib import Path
from deploy.embedded.console import Console
from deploy.embedded.engine import get_engine
cache = Path({str(real_cache)!r})
engine = get_engine(cache / "engine.json", console=Console(io.StringIO()), cache=cache)
for _ in range(5):
    run = engine.command("run", "--rm", "--network=none", "--pull=never", *engine.run_options)
    print(subprocess.check_output([*run, {probe.reference!r}], text=True), end="")
"""
    started = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]

    said = [process.communicate()[0] for process in started]

    assert said == [PROBE_OUTPUT * 5] * 3


@pytest.mark.engine
def test_gvisor_is_used_where_it_runs_a_hardened_container(
    cache: Path, console: Console, built_servers: None
) -> None:
    if not is_built(GVISOR):
        pytest.skip("gVisor could not be built here")
    (cache / "servers").mkdir(parents=True)
    (cache / "servers" / GVISOR.key()).symlink_to(program_path(GVISOR, ""))
    engine = get_engine(cache / "engine.json", console=console, cache=cache)
    try:
        assert engine.sandbox is not None
        assert engine.best_runtime == "runsc"
        assert os.access(engine.sandbox.program, os.X_OK)
        assert Engine.from_json(engine.to_json()) == engine
    finally:
        purge(engine, cache=cache)


@pytest.mark.engine
def test_the_users_own_containers_are_not_seen(engine: Engine, probe: ImageLayout) -> None:
    if engine.kind is EngineKind.DOCKER:
        pytest.skip("docker has one storage for all")
    program = next(part for part in engine.argv if part.endswith("podman"))
    own = subprocess.check_output([program, "images", "--digests", "--noheading"], text=True)

    assert probe.manifest_digest not in own


@pytest.mark.engine
def test_purging_leaves_nothing_behind(console: Console, tmp_path: Path) -> None:
    cache = tmp_path / "a cache"
    engine = get_engine(cache / "engine.json", console=console, cache=cache)
    if engine.kind is EngineKind.DOCKER:
        pytest.skip("docker has one storage for all")
    storage = get_storage(cache)
    (tmp_path / "probe").mkdir()
    image = write_probe_image(tmp_path / "probe")
    load(image, engine=engine)
    create = engine.command("create", "--pull=never", *engine.run_options, image.reference)
    subprocess.run(create, check=True, capture_output=True)
    if os.geteuid() == 0:  # as a podman leaves it that was killed
        overlay = storage.images_and_containers / "overlay"
        subprocess.run(["mount", "--bind", str(overlay), str(overlay)], check=True)

    purge(engine, cache=cache)

    assert not storage.home.exists()
    assert not storage.until_reboot.exists()
    assert os.fspath(cache) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.engine
def test_purging_one_stack_leaves_the_others_what_they_need(
    console: Console, tmp_path: Path
) -> None:
    cache = tmp_path / "a cache"
    engine = get_engine(cache / "engine.json", console=console, cache=cache)
    (tmp_path / "probe").mkdir()
    image = write_probe_image(tmp_path / "probe")
    load(image, engine=engine)
    for agent in ("one", "two"):
        run = ("create", "--pull=never", f"--name={agent}", f"--label={AGENT_LABEL}={agent}")
        create = engine.command(*run, *engine.run_options, image.reference)
        subprocess.run(create, check=True, capture_output=True)
    try:
        assert not purge(engine, agents=["one"], cache=cache)
        assert container_names(engine) == ["two"]
        assert is_loaded(image, engine=engine)

        another_is_up = share(get_storage(cache).in_use)
        assert not purge(engine, agents=["two"], cache=cache)
        os.close(another_is_up)
        assert container_names(engine) == []
        assert is_loaded(image, engine=engine)
    finally:
        assert purge(engine, agents=["two"], cache=cache)


def container_names(engine: Engine) -> list[str]:
    show = engine.command("ps", "--all", "--format", "{{.Names}}")
    return subprocess.check_output(show, text=True).split()


def test_a_stack_that_is_open_keeps_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = StackConfig(
        state=tmp_path / "stack", ports=free_ports(), engine_file=tmp_path / "engine.json"
    )
    with Stack(config, services=()):
        assert is_locked(get_storage().in_use)
    assert not is_locked(get_storage().in_use)


def test_containers_are_found_by_what_the_agent_puts_on_them(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate().public_key()
    assert find_agent_mark(tmp_path) is None
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "agent.pub").write_bytes(
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    naming = Naming(cluster="local", agent=key_id(raw)[:AGENT_LENGTH])
    assert naming.labels[AGENT_LABEL] == find_agent_mark(tmp_path)
