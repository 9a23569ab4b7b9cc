"""Fetch: what a step reads, downloaded, verified and laid out before its code starts."""

from __future__ import annotations

import shutil
from pathlib import Path

from animus_sdk.errors import AnimusError, FileUnfit, TransferFailed
from animus_sdk.source import SourceError, SourceRefused, unpack
from animus_sdk.step.attempts import PATIENCE, AttemptContext
from animus_sdk.step.failures import Failure, StepFailed, platform, tell, tell_where
from animus_sdk.step.mains import let_everybody_write, put_launcher
from animus_sdk.step.reports import write_report
from animus_sdk.transfer.digests import canonical_bytes
from animus_sdk.transfer.downloads import download_file, download_files
from animus_sdk.transfer.manifests import path_problem
from animus_sdk.transfer.stores import Store
from animus_sdk.wire.gateway import Gateway
from animus_sdk.wire.operations import GET_STEP_INPUTS
from animus_sdk.wire.retries import RetryPolicy
from animus_sdk.wire.views import Download, StepInput, StepInputs

REPORT = "fetch.json"
INPUTS, CODE, WORK, OUTPUTS, PARAMETERS = "in", "code", "work", "out", "params.json"
SCRATCH = ".fetch"
DIRECTORY = "manifest"
LAYOUT = (INPUTS, CODE, WORK, OUTPUTS, SCRATCH)


def fetch(context: AttemptContext, *, patience: RetryPolicy = PATIENCE) -> bool:
    """Lay everything out and report; whether it succeeded. Again ends in the same layout."""
    gateway, store = context.open_gateway(patience), context.open_store(patience)
    failure = fetched = None
    try:
        fetched = _lay_out(_Fetching(gateway, store, context.directory))
        _prepare_for_main(context)
    except StepFailed as failed:
        failure = failed.failure
    except AnimusError as error:
        failure = _failure_of(error)
    except OSError as error:
        failure = Failure(
            failure_class="platform",
            code="disk_error",
            message=f"The disk failed: {error.strerror}.",
        )
    except Exception as error:  # noqa: BLE001  # the process's edge: the report says it
        tell_where(error)
        failure = platform(error)
    finally:
        gateway.close()
        store.close()
    write_report(
        context,
        REPORT,
        {
            "ok": failure is None,
            "failure": failure.document() if failure else None,
            "total_bytes": fetched,
        },
    )
    return failure is None


def _lay_out(fetching: _Fetching) -> int:
    """The bytes of what was asked for, before anything is unpacked or copied."""
    root = fetching.root
    for name in LAYOUT:
        _make_empty(root / name)
    for name in (PARAMETERS, REPORT):
        (root / name).unlink(missing_ok=True)
    said = fetching.said
    for given in said["inputs"]:
        fetching.fetch_input(given)
    if said["source"] is not None:
        fetching.fetch_source(said["source"], commit=said["commit"], path=said["source_path"])
    (root / PARAMETERS).write_bytes(canonical_bytes(said["parameters"]))
    shutil.rmtree(root / SCRATCH)
    return _size_of(said)


def _prepare_for_main(context: AttemptContext) -> None:
    if context.launcher is not None:
        put_launcher(context.directory / context.launcher)
    if context.shared:
        let_everybody_write([context.directory / name for name in (WORK, OUTPUTS)])


def _size_of(said: StepInputs) -> int:
    files = (file["download"]["size"] for given in said["inputs"] for file in given["files"])
    return sum(files) + (said["source"]["size"] if said["source"] is not None else 0)


def _make_empty(directory: Path) -> None:
    """Without what an interrupted run of this left. It may be a mount, which stays.

    Nobody else has written here yet.
    """
    directory.mkdir(mode=0o755, exist_ok=True)
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


class _Fetching:
    """The inputs as the gateway says them, asked for again when URLs have expired."""

    def __init__(self, gateway: Gateway, store: Store, root: Path) -> None:
        self.root = root
        self._gateway = gateway
        self._store = store
        self.said = self._ask()

    def fetch_input(self, given: StepInput) -> None:
        name = given["name"]
        if "/" in name or path_problem(name) is not None:
            raise StepFailed(_unsafe(name))
        if given["kind"] == DIRECTORY:
            self._fetch_directory(given)
        else:
            self._fetch_file(given)

    def fetch_source(self, download: Download, *, commit: str | None, path: str | None) -> None:
        """Twice: as it is, and as a writable copy to work in."""
        pack = self.root / SCRATCH / "source.pack"
        download_file(self._store, download, pack, renew=self._renew_source)
        content = pack.read_bytes()
        for target in (CODE, WORK):
            unpack(
                content,
                self.root / target,
                expected_sha256=download["sha256"],
                commit=commit,
                path=path,
            )

    def _fetch_directory(self, given: StepInput) -> None:
        into = self.root / INPUTS / given["name"]
        into.mkdir(mode=0o755)
        download_files(
            self._store,
            given["files"],
            into,
            renew=lambda path: self._renew_input(given["name"], path),
        )

    def _fetch_file(self, given: StepInput) -> None:
        (only,) = given["files"]
        download_file(
            self._store,
            only["download"],
            self.root / INPUTS / given["name"],
            renew=lambda: self._renew_input(given["name"], only["path"]),
        )

    def _ask(self) -> StepInputs:
        return self._gateway.call(GET_STEP_INPUTS, StepInputs)

    def _renew_input(self, name: str, path: str) -> Download:
        self.said = self._ask()
        given = next(one for one in self.said["inputs"] if one["name"] == name)
        return next(file["download"] for file in given["files"] if file["path"] == path)

    def _renew_source(self) -> Download:
        self.said = self._ask()
        source = self.said["source"]
        assert source is not None  # the assignment is immutable, and had one
        return source


def _failure_of(error: AnimusError) -> Failure:
    tell(error.message)
    if isinstance(error, TransferFailed) and error.code == "digest_mismatch":
        return Failure(
            failure_class="data",
            code="digest_mismatch",
            message="The object store has other bytes for an input than were registered.",
        )
    if isinstance(error, SourceRefused):
        return Failure(
            failure_class="data",
            code=error.code,
            message="The source pack does not prove its commit. Upload it again.",
        )
    if isinstance(error, SourceError):
        return Failure(
            failure_class="platform", code=error.code, message="The source could not be written."
        )
    if isinstance(error, FileUnfit):
        return _file_failure(error)
    return platform(error)


def _file_failure(error: FileUnfit) -> Failure:
    if error.code == "unsafe_path":
        return _unsafe("")
    message = "An input could not be written to the attempt's directory."
    return Failure(failure_class="platform", code=error.code, message=message)


def _unsafe(name: str) -> Failure:
    if name:
        tell(f"unsafe input: {name}")
    return Failure(
        failure_class="data",
        code="unsafe_path",
        message="An input has a path that would leave its directory.",
    )
