"""Makes `.venv` with everything from the hashed lock file, and this checkout in it.

Runs before anything is installed, so it uses the standard library only. Does nothing when the
same was done already for these lock files and this Python; only source files that changed since
are compiled, because the servers may not write their bytecode beside them.
"""

from __future__ import annotations

import compileall
import hashlib
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from deploy.embedded.console import Console
from deploy.embedded.errors import StackError
from deploy.embedded.locks import locked
from deploy.programs import wait_for

CHECKOUT = Path(__file__).resolve().parents[2]
HOME = CHECKOUT / ".venv"
STAMP = HOME / "animus-setup"
LOCK_FILE = CHECKOUT / "requirements" / "dev.txt"
PACKAGES = ("activities", "animus", "animusd", "api", "deploy", "sdk", "tests", "workflows")
SOURCES = (LOCK_FILE, CHECKOUT / "pyproject.toml", CHECKOUT / "sdk" / "pyproject.toml")

LOG_TAIL = 12

_NOT_INSTALLED = (
    "Usual causes: no network, a proxy (HTTPS_PROXY), a package index other than the default one "
    "(PIP_INDEX_URL), a full disk. Run the same command again when that is mended."
)


def main() -> int:
    (CHECKOUT / ".animus").mkdir(exist_ok=True)
    try:
        with locked(CHECKOUT / ".animus" / "setup.lock"):
            make_environment(Console())
            for package in PACKAGES:
                compileall.compile_dir(CHECKOUT / package, quiet=2)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def make_environment(console: Console) -> None:
    wanted = _fingerprint()
    if STAMP.is_file() and STAMP.read_text() == wanted and _python_works():
        return
    STAMP.unlink(missing_ok=True)
    console.say(f"    making .venv with {sys.executable}")
    if not _python_works():
        shutil.rmtree(HOME, ignore_errors=True)
        venv.create(HOME, with_pip=True, symlinks=True)
    _pip(
        ("install", "--require-hashes", "--requirement", str(LOCK_FILE)),
        what="installing Python packages (about 400 MB)",
        console=console,
    )
    editable = ("--editable", str(CHECKOUT), "--editable", str(CHECKOUT / "sdk"))
    _pip(
        ("install", "--no-deps", "--no-build-isolation", *editable),
        what="installing this checkout",
        console=console,
    )
    STAMP.write_text(wanted)


def _pip(arguments: tuple[str, ...], *, what: str, console: Console) -> None:
    command = [str(HOME / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    command += ["--no-input", *arguments, "--progress-bar", "off"]
    progress = console.progress(what)
    with tempfile.NamedTemporaryFile() as log:
        with subprocess.Popen(command, cwd=CHECKOUT, stdout=log, stderr=log) as pip:
            wait_for(pip, lambda: progress.tick(_describe(Path(log.name))))
        if pip.returncode != 0:
            progress.fail()
            lines = Path(log.name).read_text(errors="replace").splitlines()[-LOG_TAIL:]
            said = "\n".join(f"      {line}" for line in lines)
            raise StackError(f"pip could not install everything:\n{said}\n{_NOT_INSTALLED}")
    progress.done()


def _describe(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    if any(line.startswith("Installing collected packages") for line in lines):
        return "unpacking"
    return f"{sum(line.startswith('Collecting ') for line in lines)} packages fetched"


def _fingerprint() -> str:
    digest = hashlib.sha256(f"{sys.version}\n{CHECKOUT}\n".encode())
    for source in (*SOURCES, Path(__file__)):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _python_works() -> bool:
    python = HOME / "bin" / "python"
    if not python.exists():
        return False
    return subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
