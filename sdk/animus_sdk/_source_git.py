"""Asks git, with everything turned off that could run a program, a hook or a network call.

A repository may have been written by somebody else: its configuration and attributes are data.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from animus_sdk._source_format import SourceError

_LONGEST_URL = 2000
_KEPT = frozenset({"GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM"})
_FORCED = {
    "GIT_ALLOW_PROTOCOL": "none",  # no transport has this name: a partial clone fetches nothing
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",  # else an id could give another object's bytes
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_OPTIONS = (
    "--no-pager",
    "--literal-pathspecs",
    "-c",
    "core.fsmonitor=false",
    "-c",
    f"core.hooksPath={os.devnull}",
)


class GitError(SourceError):
    """Git is not there, or cannot answer. The message says what to do."""

    def __init__(self, message: str, *, code: str = "git_failed") -> None:
        super().__init__(message, code=code)


class Git:
    """Git in one directory."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("git")
        if program is None:
            raise GitError(
                "git is not installed here, and the source is read from git. Install it"
                " (Debian: apt-get install git), or run this where the repository is.",
                code="git_missing",
            )
        self._directory = directory
        self._command = [program, *_OPTIONS]

    def ask(self, *arguments: str) -> bytes:
        """The standard output of one git command."""
        answer = self._run(*arguments)
        if answer.returncode != 0:
            raise _explain(answer.stderr, self._directory)
        return answer.stdout

    def ask_line(self, *arguments: str) -> str:
        """The one line that a git command prints; it may itself contain newlines."""
        return os.fsdecode(self.ask(*arguments).removesuffix(b"\n"))

    def find_commit(self, name: str) -> str | None:
        """The id of the commit that `name` means, if it is in this clone."""
        if name.startswith("-") or not name.isprintable():
            return None
        answer = self._run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return answer.stdout.decode("ascii").strip() if answer.returncode == 0 else None

    def find_setting(self, name: str) -> str | None:
        """A value from git's configuration."""
        answer = self._run("config", "-z", "--get", name)
        found = answer.returncode == 0
        return answer.stdout.removesuffix(b"\0").decode("utf-8", "replace") if found else None

    def disarm_filters(self) -> None:
        """From now on ignore the programs that the configuration wants to filter files with."""
        names = self._run("config", "-z", "--name-only", "--get-regexp", r"^filter\.").stdout
        for name in sorted({os.fsdecode(name) for name in names.split(b"\0") if name}):
            driver, _, key = name.rpartition(".")
            if "=" in driver:
                raise GitError(
                    f"Git's configuration has {driver!a}. A filter name with '=' cannot be"
                    " turned off safely. Rename it (git config --edit)."
                )
            off = "false" if key == "required" else ""
            self._command += ["-c", f"{name}={off}"]

    @contextmanager
    def open_objects(self) -> Iterator[ObjectReader]:
        """Read many objects through one process."""
        with (
            tempfile.TemporaryFile() as complaints,
            subprocess.Popen(
                [*self._command, "cat-file", "--batch"],
                cwd=self._directory,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
            ) as process,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                yield ObjectReader(process.stdin, process.stdout, complaints)
            finally:
                process.kill()
                with suppress(BrokenPipeError):  # a question that nobody will read any more
                    process.stdin.close()

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                [*self._command, *arguments],
                cwd=self._directory,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            raise GitError(
                f"{str(self._directory)!a} is not a directory you may enter. Choose another one.",
                code="not_a_directory",
            ) from None


class ObjectReader:
    """Objects by id, as they are in the object store: no conversion, no attributes."""

    def __init__(self, questions: IO[bytes], answers: IO[bytes], complaints: IO[bytes]) -> None:
        self._questions = questions
        self._answers = answers
        self._complaints = complaints

    def read(self, object_id: bytes, *, kind: str, limit: int) -> bytes:
        """The bytes of one object, none of which is read if it is larger than `limit`."""
        name = object_id.hex()
        try:
            self._questions.write(name.encode("ascii") + b"\n")
            self._questions.flush()
        except BrokenPipeError:
            raise self._missing(name, kind) from None
        found = self._answers.readline().split()
        if found[:2] != [name.encode("ascii"), kind.encode("ascii")]:
            raise self._missing(name, kind)
        size = int(found[2])
        if size > limit:
            raise GitError(
                f"The {kind} {name} has {size} bytes; {limit} are allowed. Register large files"
                f" as a dataset (git log --all --find-object={name} shows which file it is).",
                code="source_too_large",
            )
        content = self._answers.read(size)
        if len(content) != size or self._answers.read(1) != b"\n":
            raise self._missing(name, kind)
        return content

    def _missing(self, name: str, kind: str) -> GitError:
        self._complaints.seek(0)
        said = self._complaints.read(2000).decode("utf-8", "replace").strip()
        return GitError(
            f"The {kind} {name} is not in this clone, or cannot be read. Run 'git fsck'; in a"
            f" partial clone, fetch it first ('git fetch --refetch --no-filter').{_quote(said)}",
            code="object_missing",
        )


def strip_credentials(url: str) -> str | None:
    """A remote's URL without what may be a secret; None if it is not fit to be recorded."""
    if not url or len(url) > _LONGEST_URL or not url.isprintable():
        return None
    if "://" not in url:
        return url  # a path, or the scp-like user@host:path, which has no place for a password
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    user_info, _, host = parts.netloc.rpartition("@")
    if parts.scheme in ("ssh", "git+ssh") and user_info:
        host = f"{user_info.partition(':')[0]}@{host}"
    return parts._replace(netloc=host, query="", fragment="").geturl()


def _environment() -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or not name.startswith(("GIT_", "LC_", "LANG"))
    }
    return inherited | _FORCED


def _explain(stderr: bytes, directory: Path) -> GitError:
    said = stderr.decode("utf-8", "replace").strip()
    place = ascii(str(directory))
    if "dubious ownership" in said:
        return GitError(
            f"The repository at {place} belongs to another user, so git does not read it. If you"
            " trust it: git config --global --add safe.directory"
            f" {_trusted_directory(said) or place}",
            code="repository_not_trusted",
        )
    if "not a git repository" in said:
        return GitError(
            f"{place} is not in a git repository. Run 'git init' and commit your code, or choose"
            " a directory of a repository.",
            code="not_a_repository",
        )
    if "must be run in a work tree" in said:
        return GitError(
            f"{place} is not in a working tree (a bare repository, or inside .git). Clone the"
            " repository and choose a directory of the clone.",
            code="no_working_tree",
        )
    return GitError(f"Git could not answer for {place}.{_quote(said)}")


def _trusted_directory(said: str) -> str | None:
    """The directory that git itself proposes, quoted as it stands."""
    _, _, proposed = said.partition("safe.directory ")
    return proposed.splitlines()[0] if proposed else None


def _quote(said: str) -> str:
    return f" Git said: {said[:500]!a}" if said else ""
