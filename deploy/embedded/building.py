"""Builds the servers into the cache: each from its pinned modules, whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from deploy.embedded.console import Console, Progress
from deploy.embedded.errors import BuildFailed
from deploy.embedded.locks import locked
from deploy.embedded.servers import SERVERS, Extra, Server, cache_directory, is_built, program_path
from deploy.embedded.toolchain import (
    build_environment,
    go_setting,
    obtain_go,
    required_version,
)
from deploy.programs import wait_for

GIB = 1024**3
NEEDED_SPACE = 6 * GIB
"""Measured with empty caches: 2.1 GiB of modules, 2.4 GiB of build cache, 0.4 GiB of programs."""

LOG_TAIL = 15

_ADVICE = (
    (r"checksum mismatch|SECURITY ERROR", "The module proxy served other bytes than go.sum pins. "
     "Do not work around this: ask whoever runs the proxy."),
    (r"no space left", "The disk is full. Free some space, then try again."),
    (r"x509|certificate", "A proxy's certificate is not trusted here. Install its CA "
     "(update-ca-certificates), or set SSL_CERT_FILE."),
    (r"proxyconnect|no such host|dial tcp|connection refused|i/o timeout|network is unreachable",
     "The Go module proxy can't be reached. Check the network and HTTPS_PROXY, or set GOPROXY to "
     "a proxy that you can reach (go env GOPROXY shows the one in use)."),
    (r"40[34] |410 Gone", "The Go module proxy refused a module. Check GOPROXY."),
    (r"signal: killed", "The machine ran out of memory. The build needs about 3 GiB."),
)  # fmt: skip


def build_servers(
    *, console: Console, servers: Sequence[Server] = SERVERS, cache: Path | None = None
) -> None:
    """Build what is not in the cache yet. Raises `BuildFailed` with what to do.

    Of what is optional it only says why it is not there.
    """
    cache = cache or cache_directory()
    missing = [server for server in servers if not is_built(server, cache=cache)]
    needed = [server for server in missing if not server.is_optional]
    optional = [server for server in missing if server.is_optional]
    if needed:
        _build_all(needed, console=console, cache=cache)
    if optional:
        try:
            _build_all(optional, console=console, cache=cache)
        except BuildFailed as failure:
            names = ", ".join(server.name for server in optional)
            console.say(f"{failure}\n    going on without {names}")


def _build_all(missing: Sequence[Server], *, console: Console, cache: Path) -> None:
    _make_directory(cache / "servers")
    go = obtain_go(required_version(missing), console=console, cache=cache)
    for place in (cache, Path(go_setting(go, "GOCACHE")), Path(go_setting(go, "GOMODCACHE"))):
        check_space(place, needed=NEEDED_SPACE)
    console.say("    building the servers (once for each version; minutes the first time)")
    for server in missing:
        home = program_path(server, "", cache=cache)
        with locked(
            home.with_name(f"{home.name}.lock"),
            on_wait=partial(console.say, f"    waiting: another process builds {server.name}"),
        ):
            if not is_built(server, cache=cache):
                _build(server, home=home, go=go, console=console)


def check_space(place: Path, *, needed: int) -> None:
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise BuildFailed(
            f"Building the servers needs {needed / GIB:.0f} GiB on the disk of {place}; "
            f"{free / GIB:.1f} GiB are free. Free some space, or set XDG_CACHE_HOME, GOCACHE and "
            "GOMODCACHE to a larger disk."
        )


def _build(server: Server, *, home: Path, go: Path, console: Console) -> None:
    log = home.with_name(f"{home.name}.log")
    for abandoned in home.parent.glob(f".{home.name}.*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{home.name}.", dir=home.parent))
    try:
        for program in server.programs:
            command = [str(go), "build", "-v", "-trimpath", "-buildvcs=false"]
            flags = " ".join(("-s -w", *server.linker_flags))
            command += ["-ldflags", flags, "-o", str(scratch / program.name), program.package]
            _run(command, what=f"building {program.name}", at=server.source, log=log, to=console)
        for extra in server.extras:
            _copy_extra(extra, scratch / extra.name, server=server, go=go)
        _write_provenance(scratch / "build.json", server=server, go=go)
        _let_everyone_read(scratch)
        shutil.rmtree(home, ignore_errors=True)  # there only if someone deleted parts of it
        scratch.rename(home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    log.unlink()


def _run(command: list[str], *, what: str, at: Path, log: Path, to: Console) -> None:
    progress = to.progress(what)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=at, env=build_environment(), stdout=output, stderr=output
        )
    try:
        wait_for(process, lambda: progress.tick(_describe_progress(log)))
    except BaseException:  # the person gave up: the build must not go on behind their back
        process.terminate()
        process.wait()
        raise
    _end(progress, process.returncode, log=log)


def _end(progress: Progress, code: int, *, log: Path) -> None:
    if code == 0:
        progress.done()
        return
    progress.fail()
    lines = log.read_text(errors="replace").splitlines()
    tail = "\n".join(f"      {line}" for line in lines[-LOG_TAIL:])
    raise BuildFailed(f"The build failed:\n{tail}\n{advice_for(lines)}\nThe whole log is {log}.")


def advice_for(lines: Sequence[str]) -> str:
    """What a person can do about a failed build, from what Go printed last."""
    text = "\n".join(lines[-LOG_TAIL:])
    for pattern, advice in _ADVICE:
        if re.search(pattern, text, re.IGNORECASE):
            return advice
    return "Run the same command again; if it fails the same way, send the log with your report."


def _describe_progress(log: Path) -> str:
    """Go prints 'go: downloading …' for each module and then one line for each package."""
    lines = log.read_text(errors="replace").splitlines()
    downloads = sum(line.startswith("go: downloading") for line in lines)
    return f"{downloads} modules fetched, {len(lines) - downloads} packages compiled"


def _copy_extra(extra: Extra, target: Path, *, server: Server, go: Path) -> None:
    """From the module's directory, which Go has verified by go.sum; without its read-only modes."""
    asked = subprocess.run(
        [go, "list", "-m", "-f", "{{.Dir}}", extra.module],
        cwd=server.source,
        env=build_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    source = Path(asked.stdout.strip()) / extra.path
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _let_everyone_read(directory: Path) -> None:
    """Whatever the umask was: the servers run as another user than the one that builds them."""
    directory.chmod(0o755)
    for path in directory.rglob("*"):
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def _write_provenance(path: Path, *, server: Server, go: Path) -> None:
    facts = {
        "server": server.name,
        "packages": [program.package for program in server.programs],
        "go": go_setting(go, "GOVERSION"),
    }
    path.write_text(json.dumps(facts, indent=2) + "\n")


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildFailed(
            f"The cache directory {path} can't be made ({error.strerror}). "
            "Set XDG_CACHE_HOME to a directory that you may write to."
        ) from error
