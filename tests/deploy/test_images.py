"""Images: the same inputs give the same bytes, and what is built runs under a step's limits."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shlex
import shutil
import subprocess
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.embedded.console import Console
from deploy.embedded.engine import Engine, get_engine
from deploy.embedded.servers import cache_directory
from deploy.images.builds import BuiltImage, ensure_image, images_home
from deploy.images.datasets import get_breast_cancer_csv
from deploy.images.definitions import (
    DEBIAN_PACKAGES,
    DEMO,
    ENVIRONMENT,
    HERE,
    IMAGES,
    LAUNCHER,
    STEP,
    STEP_USER,
    ImageDefinition,
)
from deploy.images.errors import ImageBuildFailed
from deploy.images.launchers import FLAGS, TARGET
from deploy.images.layers import write_layer
from deploy.images.layouts import read_layout, write_layout
from deploy.images.loading import provide
from deploy.images.locking import sdk_dependencies
from deploy.images.mirrors import Mirrors, choose_mirrors, get_mirrors
from deploy.images.packages import LockedPackage, PackageKind
from deploy.images.parts import Bench, Workshop
from deploy.images.wheels import read_pins, unpack_wheels

HARDENED = (
    *("--rm", "--pull=never", "--network=none", "--read-only", "--cap-drop=all"),
    *("--security-opt=no-new-privileges", "--memory=512m", "--memory-swap=512m", "--cpus=1"),
    *("--pids-limit=128", "--tmpfs=/tmp:rw,nosuid,nodev,size=64m"),
)

PLOT = """
import os, sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plot
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import RocCurveDisplay
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
features, classes = load_breast_cancer(return_X_y=True)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(features, classes)
figure, axes = plot.subplots()
RocCurveDisplay.from_estimator(model, features, classes, ax=axes)
figure.savefig("/tmp/roc.png")
assert model.score(features, classes) > 0.95
print(os.getuid(), os.getgid(), open("/tmp/roc.png", "rb").read(8))
"""


def quiet() -> Console:
    return Console(io.StringIO(), terminal=False)


def write_tree(tree: Path, names: list[str]) -> Path:
    for name in names:
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tree


def entries(tar: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(tar) as archive:
        return {member.name: member for member in archive}


# Layers


def test_a_layer_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    one = write_tree(tmp_path / "one", ["a/x", "a/y", "b"])
    other = write_tree(tmp_path / "other", ["b", "a/y", "a/x"])
    os.utime(other / "b", (1, 1))
    (other / "a").chmod(0o700)
    (other / "b").chmod(0o600)

    assert (
        write_layer(one, tmp_path / "one.tar").digest
        == write_layer(other, tmp_path / "other.tar").digest
    )


def test_another_content_gives_another_layer(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", ["a"])
    before = write_layer(tree, tmp_path / "before.tar").digest
    (tree / "a").write_text("b")

    assert write_layer(tree, tmp_path / "after.tar").digest != before


def test_a_layer_has_no_setuid_bit_and_nothing_that_only_its_owner_reads(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", ["su", "secret"])
    (tree / "su").chmod(0o4755)
    (tree / "secret").chmod(0o600)

    packed = entries(write_layer(tree, tmp_path / "layer.tar").tar)

    assert packed["su"].mode == 0o755
    assert packed["secret"].mode == 0o644


def test_a_sticky_directory_stays_writable_for_all(tmp_path: Path) -> None:
    (tmp_path / "tree" / "tmp").mkdir(parents=True)
    (tmp_path / "tree" / "tmp").chmod(0o1777)

    packed = entries(write_layer(tmp_path / "tree", tmp_path / "layer.tar").tar)

    assert packed["tmp"].mode == 0o1777


def test_two_names_of_one_file_become_two_files(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", ["a"])
    os.link(tree / "a", tree / "b")

    with tarfile.open(write_layer(tree, tmp_path / "layer.tar").tar) as archive:
        contents = [archive.extractfile(name) for name in ("a", "b")]
        assert [content.read() for content in contents if content] == [b"a", b"a"]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    os.mkfifo(tree / "pipe")

    with pytest.raises(ValueError, match="pipe"):
        write_layer(tree, tmp_path / "layer.tar")


# Layouts


def test_a_layout_names_each_blob_by_its_digest(tmp_path: Path) -> None:
    layer = write_layer(write_tree(tmp_path / "tree", ["a"]), tmp_path / "layer.tar")

    layout = write_layout(tmp_path / "layout", name="animus-x", layers=[layer], settings={})

    blobs = list((layout.path / "blobs" / "sha256").iterdir())
    assert len(blobs) == 3
    assert all(hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name for blob in blobs)
    assert layout.manifest_digest.removeprefix("sha256:") in {blob.name for blob in blobs}
    assert layout.reference == f"localhost/animus-x@{layout.manifest_digest}"
    assert read_layout(layout.path, name="animus-x") == layout


def test_other_settings_give_another_manifest(tmp_path: Path) -> None:
    layer = write_layer(write_tree(tmp_path / "tree", ["a"]), tmp_path / "layer.tar")

    digests = {
        write_layout(
            tmp_path / user, name="animus-x", layers=[layer], settings={"User": user}
        ).manifest_digest
        for user in ("0:0", "10001:0")
    }

    assert len(digests) == 2


# Parts


def make_nothing(bench: Bench) -> tuple[LockedPackage, ...]:
    (bench.tree / "file").touch()
    return (LockedPackage(kind=PackageKind.WHEEL, name="x", version="1", sha256="0" * 64),)


def test_a_part_is_made_once_for_all_who_want_it_at_the_same_time(tmp_path: Path) -> None:
    shop = Workshop(home=tmp_path, console=quiet())
    made, begun = [], threading.Barrier(3)

    def make(bench: Bench) -> tuple[LockedPackage, ...]:
        made.append(bench.scratch)
        return make_nothing(bench)

    def want() -> None:
        begun.wait()
        shop.obtain_part("x", at=tmp_path / "part", make=make)

    wanting = [threading.Thread(target=want) for _ in range(3)]
    for thread in wanting:
        thread.start()
    for thread in wanting:
        thread.join()

    assert len(made) == 1
    assert not made[0].exists()


def test_a_part_that_can_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    shop = Workshop(home=tmp_path, console=quiet())

    def fail(bench: Bench) -> tuple[LockedPackage, ...]:
        (bench.tree / "half").touch()
        raise ImageBuildFailed("no")

    with pytest.raises(ImageBuildFailed):
        shop.obtain_part("x", at=tmp_path / "part", make=fail)

    assert [path.name for path in tmp_path.iterdir()] == [".part.lock"]


def test_what_a_killed_build_left_is_cleared_away(tmp_path: Path) -> None:
    shop = Workshop(home=tmp_path, console=quiet())
    left = tmp_path / ".part.making.abc"
    left.mkdir()

    part = shop.obtain_part("x", at=tmp_path / "part", make=make_nothing)

    assert not left.exists()
    assert shop.obtain_part("x", at=tmp_path / "part", make=make_nothing) == part


def test_a_full_disk_is_noticed_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.statvfs_result((4096, 4096, 10, 1, 1, 10, 1, 1, 0, 255))
    monkeypatch.setattr("os.statvfs", lambda path: full)
    shop = Workshop(home=tmp_path, console=quiet())

    with pytest.raises(ImageBuildFailed, match="XDG_CACHE_HOME"):
        shop.obtain_part("x", at=tmp_path / "part", make=make_nothing)


# Wheels and pins


def write_wheel(path: Path, *members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(member, member)
    return path


def test_a_wheels_scripts_and_data_stay_outside(tmp_path: Path) -> None:
    wheel = write_wheel(
        tmp_path / "x.whl",
        *("x/__init__.py", "x-1.dist-info/RECORD", "x-1.data/", "x-1.data/scripts/x"),
        *("x-1.data/platlib/x/fast.so", "x-1.data/data/share/x"),
    )

    unpack_wheels([wheel], site=tmp_path / "site")

    found = {
        str(path.relative_to(tmp_path / "site"))
        for path in (tmp_path / "site").rglob("*")
        if path.is_file()
    }
    assert found == {"x/__init__.py", "x-1.dist-info/RECORD", "x/fast.so"}


@pytest.mark.parametrize(
    "member", ["../outside", "/outside", "x/../../outside", "x-1.data/purelib/../../../outside"]
)
def test_a_wheel_that_leads_outside_is_refused(tmp_path: Path, member: str) -> None:
    wheel = write_wheel(tmp_path / "x.whl", member)

    with pytest.raises(ImageBuildFailed, match="outside"):
        unpack_wheels([wheel], site=tmp_path / "site")


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy==2.4.6",
        "numpy>=2 --hash=sha256:" + "0" * 64,
        "numpy==2.4.6 --hash=sha256:" + "0" * 64 + " --hash=sha256:" + "1" * 64,
        "--index-url=example numpy==2.4.6",
    ],
)
def test_a_line_that_pins_no_single_file_is_refused(tmp_path: Path, line: str) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(line)

    with pytest.raises(ImageBuildFailed, match="images lock"):
        read_pins(requirements)


@pytest.mark.parametrize("definition", IMAGES.values(), ids=IMAGES)
def test_the_pins_hold_what_the_sdk_and_the_image_need(definition: ImageDefinition) -> None:
    pinned = {pin.name.replace("_", "-"): pin.version for pin in read_pins(definition.requirements)}
    wanted = [Requirement(text) for text in (*sdk_dependencies(), *definition.libraries)]
    needed = [each for each in wanted if not each.marker or each.marker.evaluate()]

    assert needed
    for requirement in needed:
        assert requirement.specifier.contains(pinned[requirement.name]), requirement


def test_both_images_have_the_same_versions_of_what_they_share() -> None:
    assert set(read_pins(STEP.requirements)) <= set(read_pins(DEMO.requirements))


# Dockerfiles


@pytest.mark.parametrize("definition", IMAGES.values(), ids=IMAGES)
def test_the_dockerfile_says_the_same(definition: ImageDefinition) -> None:
    text = (HERE / f"{definition.name}.Dockerfile").read_text()
    entrypoint = f"ENTRYPOINT {json.dumps(list(definition.entrypoint))}"

    assert " ".join(DEBIAN_PACKAGES) in " ".join(text.split())
    assert f"deploy/images/{definition.requirements.name}" in text
    assert f"USER {STEP_USER}" in text
    assert "ENV " + " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items()) in text
    assert (entrypoint in text) == bool(definition.entrypoint)
    assert f"title={definition.image_name}" in text
    assert (f"COPY --from=launcher /launch /{LAUNCHER}" in text) == definition.has_launcher


def test_the_dockerfile_builds_the_launcher_in_the_same_way() -> None:
    text = " ".join((HERE / "step.Dockerfile").read_text().split())
    settings = [f"{name}={value}" for name, value in TARGET.items() if value]

    assert f"go build {shlex.join(FLAGS).replace(chr(39), chr(34))} -o /launch ." in text
    assert all(setting in text for setting in (*settings, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly"))


# Mirrors

LISTED = """\
http://mirror.example/debian/ bookworm-updates main Debian
http://mirror.example/debian/ bookworm main Debian
http://mirror.example/debian/ bookworm contrib Debian
http://mirror.example/debian-security/ bookworm-security main Debian
http://third.example/debian/ bookworm main Docker
"""


def test_the_mirror_of_this_machines_apt_is_taken() -> None:
    expected = Mirrors(
        main="http://mirror.example/debian/", security="http://mirror.example/debian-security/"
    )

    assert choose_mirrors(LISTED) == expected


def test_before_the_first_update_a_mirror_is_known_by_its_address() -> None:
    listed = "\n".join(line.removesuffix(" Debian") for line in LISTED.splitlines()[:4])

    assert choose_mirrors(listed) == choose_mirrors(LISTED)


@pytest.mark.parametrize("listed", ["", "http://mirror.example/ubuntu/ noble main Ubuntu"])
def test_a_machine_without_a_debian_mirror_is_told_what_to_set(listed: str) -> None:
    with pytest.raises(ImageBuildFailed, match="ANIMUS_DEBIAN_MIRROR"):
        choose_mirrors(listed)


def test_a_mirror_in_the_settings_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_DEBIAN_MIRROR", "http://own.example/debian")

    assert get_mirrors() == Mirrors(main="http://own.example/debian", security=None)


# The images themselves


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return get_engine(tmp_path_factory.mktemp("engine") / "engine.json", console=quiet())


@pytest.fixture(scope="module")
def step(engine: Engine) -> BuiltImage:
    image = ensure_image(STEP, console=quiet())
    provide(image, engine=engine, console=quiet())
    return image


@pytest.fixture(scope="module")
def demo(engine: Engine) -> BuiltImage:
    image = ensure_image(DEMO, console=quiet())
    provide(image, engine=engine, console=quiet())
    return image


def run(engine: Engine, image: str, *arguments: str, user: str = STEP_USER) -> str:
    hardened = (*HARDENED, *engine.run_options, f"--user={user}")
    command = engine.command("run", *hardened, image, *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.engine
def test_the_demo_image_trains_and_draws_under_a_steps_limits(
    engine: Engine, demo: BuiltImage
) -> None:
    said = run(engine, demo.reference, "python", "-c", PLOT)

    assert said == "10001 0 b'\\x89PNG\\r\\n\\x1a\\n'\n"


@pytest.mark.engine
def test_the_kernel_confirms_that_a_step_is_confined(engine: Engine, demo: BuiltImage) -> None:
    code = """
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(*(status[name].strip() for name in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")))
print(open("/proc/net/dev").read().count(":"))
"""
    said = run(engine, demo.reference, "python", "-c", code)

    assert said == f"{'0' * 16} {'0' * 16} 1 2\n1\n"


@pytest.mark.engine
def test_any_user_of_group_0_can_use_an_image(engine: Engine, demo: BuiltImage) -> None:
    said = run(
        engine, demo.reference, "/bin/sh", "-c", "python -c 'import numpy' && id -u", user="4242:0"
    )

    assert said == "4242\n"


@pytest.mark.engine
def test_the_step_image_starts_the_sdk(engine: Engine, step: BuiltImage) -> None:
    found = engine.command("image", "inspect", "--format", "{{json .Config}}", step.reference)
    config = json.loads(subprocess.check_output(found))

    assert config["Entrypoint"] == ["python3", "-m", "animus_sdk.step"]
    assert config["User"] == STEP_USER
    imported = ("--entrypoint=python3", step.reference, "-c", "import animus_sdk, httpx, yaml")
    run(engine, *imported)


@pytest.mark.engine
def test_modules_in_an_image_are_compiled(engine: Engine, step: BuiltImage) -> None:
    code = "import animus_sdk, json; print(*[m.__spec__.cached for m in (animus_sdk, json)])"
    cached = run(engine, "--entrypoint=python3", step.reference, "-c", code).split()
    code = "import os, sys; print(*[os.path.exists(path) for path in sys.argv[1:]])"

    said = run(engine, "--entrypoint=python3", step.reference, "-c", code, *cached)

    assert said == "True True\n"


@pytest.mark.engine
def test_the_engine_reports_the_digests_that_the_build_says(
    engine: Engine, demo: BuiltImage
) -> None:
    asked = engine.command("image", "inspect", demo.reference)
    (found,) = json.loads(subprocess.check_output(asked))

    assert demo.reference in found["RepoDigests"]
    assert found["Id"].removeprefix("sha256:") in (
        demo.config_digest.removeprefix("sha256:"),
        demo.manifest_digest.removeprefix("sha256:"),  # docker's containerd store
    )


@pytest.mark.engine
def test_an_image_names_every_package_with_its_digest(demo: BuiltImage) -> None:
    names = {package.name for package in demo.packages}

    assert {"libc6", "python3.11", "scikit-learn", "numpy", "animus-datalab"} <= names
    assert all(len(package.sha256) == 64 and package.version for package in demo.packages)
    assert demo.platform == "linux/amd64"


@pytest.mark.engine
def test_no_file_of_an_image_is_setuid_or_closed_to_group_0(demo: BuiltImage) -> None:
    layers = [
        blob for blob in (demo.path / "blobs" / "sha256").iterdir() if tarfile.is_tarfile(blob)
    ]
    members = [member for layer in layers for member in entries(layer).values()]

    assert len(layers) == 3
    assert len(members) > 5_000
    assert not [member.name for member in members if member.mode & 0o6000]
    assert not [member.name for member in members if not member.mode & 0o040]
    assert {(member.uid, member.gid, member.mtime) for member in members} == {(0, 0, 0)}


@pytest.mark.engine
def test_an_image_built_again_elsewhere_is_the_same(step: BuiltImage, tmp_path: Path) -> None:
    home = images_home(tmp_path)
    for reused in ("base-*", "wheels"):  # downloads; libraries, SDK and image are made anew
        for directory in images_home(cache_directory()).glob(reused):
            shutil.copytree(directory, home / directory.name, copy_function=os.link)

    again = ensure_image(STEP, console=quiet(), cache=tmp_path)

    assert again.path != step.path
    assert again.reference == step.reference
    assert again.packages == step.packages


@pytest.mark.engine
def test_the_demos_data_has_569_rows_of_30_features() -> None:
    path = get_breast_cancer_csv(console=quiet())

    with path.open(newline="") as file:
        heading, *rows = csv.reader(file)

    assert heading[:2] == ["569", "30"]
    assert len(rows) == 569
    assert {len(row) for row in rows} == {31}
