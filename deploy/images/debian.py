"""A root file system from Debian packages: fetched by apt as signed, unpacked without installing.

No package's script runs and nothing needs root, so what little those scripts would have made is
written here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.images.errors import ImageBuildFailed
from deploy.images.mirrors import get_mirrors
from deploy.images.packages import LockedPackage, PackageKind
from deploy.programs import CommandFailed, ask, run_long

RELEASE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

NOT_UNPACKED = frozenset({"dpkg", "debianutils"})
"""Depended on for installing and removing packages, which never happens in an image."""

NOT_NEEDED = ("doc", "man", "info", "locale", "lintian", "bug", "menu", "gdb", "polkit-1")
"""Directories of /usr/share."""

_MERGED = ("bin", "sbin", "lib", "lib64")
"""Names in / that are links into /usr, whatever the packages still say."""

_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/usr/sbin/nologin\n"
    "step:x:10001:0:step:/tmp:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_DIRECTORIES = ("animus", "dev", "proc", "run", "sys", "tmp")
_LINKS = {"usr/bin/python": "python3"}

_STATUS = "var/lib/dpkg/status.d"
"""Where vulnerability scanners look for the packages of an image without dpkg."""

# The machine's own apt settings stay in force (proxies, certificates), but not its package
# choices, nor what it does after an update.
_APT_SETTINGS = """\
Dir::State "{state}";
Dir::State::status "{state}/status";
Dir::Cache "{state}";
Dir::Etc::SourceList "{state}/sources.list";
Dir::Etc::SourceParts "-";
Dir::Etc::Preferences "-";
Dir::Etc::PreferencesParts "-";
APT::Architecture "amd64";
APT::Install-Recommends "false";
APT::Default-Release "";
Acquire::Languages "none";
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
"""


def fetch_packages(
    names: Sequence[str], *, scratch: Path, tick: Callable[[], None]
) -> tuple[Path, ...]:
    """Download the packages with all they depend on into `scratch`; their signatures are checked.

    Raises `ImageBuildFailed`.
    """
    state = scratch / "apt"
    for directory in ("lists/partial", "archives/partial"):
        (state / directory).mkdir(parents=True)
    (state / "status").touch()
    (state / "sources.list").write_text(get_mirrors().sources(release=RELEASE, keyring=KEYRING))
    settings = state / "apt.conf"
    settings.write_text(_APT_SETTINGS.format(state=state))
    try:
        run_long(["apt-get", "-c", str(settings), "--error-on=any", "update"], tick=tick)
        download = ["apt-get", "-c", str(settings), "--yes", "--download-only", "install"]
        run_long([*download, *names], tick=tick)
    except CommandFailed as failure:
        raise ImageBuildFailed(
            f"The Debian packages for the images can't be fetched: {failure}\n"
            "Check the network and apt's proxy settings: 'apt-get update' must work, and "
            f"{KEYRING} must be there (package debian-archive-keyring)."
        ) from failure
    return tuple(sorted((state / "archives").glob("*.deb")))


def unpack_packages(packages: Sequence[Path], *, tree: Path) -> tuple[LockedPackage, ...]:
    """Unpack the packages into the new directory `tree`, without what a container never needs."""
    for name in _MERGED:
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    locked = []
    for package in packages:
        found = _describe(package)
        if found.name not in NOT_UNPACKED:
            _unpack(package, tree)
            _record(package, found.name, tree)
            locked.append(found)
    for name in NOT_NEEDED:
        shutil.rmtree(tree / "usr" / "share" / name, ignore_errors=True)
    _complete(tree)
    return tuple(sorted(locked))


def _describe(package: Path) -> LockedPackage:
    name, version = (
        ask(["dpkg-deb", "--field", str(package), field]).strip()
        for field in ("Package", "Version")
    )
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    return LockedPackage(kind=PackageKind.DEBIAN, name=name, version=version, sha256=digest)


def _unpack(package: Path, tree: Path) -> None:
    into = ["tar", "--extract", "--keep-directory-symlink", "--no-same-owner", "--directory"]
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as content:
        unpacked = subprocess.run(
            [*into, str(tree)], stdin=content.stdout, capture_output=True, text=True
        )
    if unpacked.returncode != 0 or content.returncode != 0:
        raise ImageBuildFailed(f"{package.name} can't be unpacked: {unpacked.stderr.strip()}")


def _record(package: Path, name: str, tree: Path) -> None:
    status = tree / _STATUS
    status.mkdir(parents=True, exist_ok=True)
    (status / name).write_text(ask(["dpkg-deb", "--field", str(package)]))


def _complete(tree: Path) -> None:
    for name in _DIRECTORIES:
        (tree / name).mkdir(exist_ok=True)
    (tree / "tmp").chmod(0o1777)
    for name, content in _FILES.items():
        (tree / name).write_text(content)
    for name, target in _LINKS.items():
        os.symlink(target, tree / name)
